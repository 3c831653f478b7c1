"""ControlNets of every kind and number lead every task that diffusers has a pipeline for, as those pipelines do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image, ImageDraw

from engine import Control, Engine, Guide, Img2Img, Inpaint, InvalidRequest, Txt2Img
from engine.diffusion import guiding
from engine.imaging.controlnet_preprocess import canny
from tests.engine.adapters.test_controlnets import FACTS, controlnet, drawing
from tests.engine.test_parity import ROUNDING, _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

RED = Image.new("RGB", (64, 64), "red")


def disc() -> Image.Image:
    image = Image.new("RGB", (64, 64))
    ImageDraw.Draw(image).rectangle((10, 8, 40, 50), fill="white")
    return image


def half_mask() -> Image.Image:
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    return mask


def union(folder: Path, out: Path) -> Path:
    torch.manual_seed(5)
    unet = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet")
    config = diffusers.ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16)).config
    named = {k: v for k, v in config.items() if not k.startswith("_")}
    takes = set(diffusers.ControlNetUnionModel.__init__.__wrapped__.__code__.co_varnames)
    named = {k: v for k, v in named.items() if k in takes}
    small = {"num_trans_channel": 16, "num_trans_head": 2, "num_proj_channel": 16}
    return _random(diffusers.ControlNetUnionModel(**{**named, **small}), out)


def of_transformer(kind: Any, folder: Path, out: Path, seed: int, **changes: Any) -> Path:
    torch.manual_seed(seed)
    transformer = diffusers.AutoModel.from_pretrained(str(folder / "transformer"))
    takes = set(kind.__init__.__wrapped__.__code__.co_varnames)
    named = {k: v for k, v in transformer.config.items() if k in takes and not k.startswith("_")}
    return _random(kind(**{**named, **changes}), out)


def _random(net: Any, out: Path) -> Path:
    """A new one adds nothing but zeros, and would let any mistake pass."""
    for name, parameter in net.named_parameters():
        if (parameter.dim() > 1 and not parameter.any()) or ("controlnet_" in name and parameter.dim() == 1):
            torch.nn.init.normal_(parameter, std=0.3)
    net.save_pretrained(out)
    return out


@pytest.fixture(scope="module")
def nets(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("guides")
    flux, sd3 = diffusers.FluxControlNetModel, diffusers.SD3ControlNetModel
    made = {
        "lines": controlnet(folders["sd1"], root / "lines", 1),
        "depth": controlnet(folders["sd1"], root / "depth", 2),
        "all": union(folders["sdxl"], root / "all"),
        "sd3": of_transformer(sd3, folders["sd3"], root / "sd3", 3, num_layers=1),
        "canny-flux": of_transformer(flux, folders["flux"], root / "flux", 4, num_layers=1, num_single_layers=1),
        "kinds": of_transformer(
            flux, folders["flux"], root / "kinds", 6, num_layers=1, num_single_layers=1, num_mode=5
        ),
    }
    return {name: str(path) for name, path in made.items()}


@dataclass(frozen=True)
class Case:
    """What is asked of a model, and what the same is in diffusers: its pipeline, its ControlNets, its arguments."""

    model: str
    request: Txt2Img
    pipeline: str
    nets: tuple[str, ...]
    call: Mapping[str, Any]


LINES, DEPTH = Guide(image=drawing(), controlnet="lines"), Guide(image=disc(), controlnet="depth")
HALF = Guide(image=disc(), controlnet="depth", conditioning_scale=0.5, guidance_end=0.5)
TWO = {
    "controlnet_conditioning_scale": [1.0, 0.5],
    "control_guidance_start": [0.0, 0.0],
    "control_guidance_end": [1.0, 0.5],
}
FROM = {"init_image": RED, "strength": 0.7}
REDRAW = {"init_image": RED, "mask": half_mask(), "strength": 0.9, "feather_px": 0}


def words(**changes: Any) -> Txt2Img:
    return Txt2Img(**{**FACTS, **changes})


def of_sdxl(*kinds: str) -> tuple[Guide, ...]:
    return tuple(Guide(image=drawing(), controlnet=f"{kind}-all", prepared=True) for kind in kinds)


def flux(**changes: Any) -> Guide:
    return Guide(**{"image": disc(), "controlnet": "canny-flux", **changes})


CASES = {
    "two": Case(
        "sd1",
        words(controls=(LINES, HALF)),
        "StableDiffusionControlNetPipeline",
        ("lines", "depth"),
        {"image": [drawing(), disc()], **TWO},
    ),
    "twice the same": Case(
        "sd1",
        Control(**FACTS, control_image=drawing(), controlnet="depth", controls=(HALF,)),
        "StableDiffusionControlNetPipeline",
        ("depth", "depth"),
        {"image": [drawing(), disc()], **TWO},
    ),
    "img2img": Case(
        "sd1",
        Img2Img(**FACTS, **FROM, controls=(LINES,)),
        "StableDiffusionControlNetImg2ImgPipeline",
        ("lines",),
        {"image": RED, "strength": 0.7, "control_image": drawing(), "controlnet_conditioning_scale": 1.0},
    ),
    "inpaint": Case(
        "sd1",
        Inpaint(**FACTS, **REDRAW, controls=(LINES, HALF)),
        "StableDiffusionControlNetInpaintPipeline",
        ("lines", "depth"),
        {"image": RED, "mask_image": half_mask(), "strength": 0.9, "control_image": [drawing(), disc()], **TWO},
    ),
    "union": Case(
        "sdxl",
        words(controls=of_sdxl("pose")),
        "StableDiffusionXLControlNetUnionPipeline",
        ("all",),
        {"control_image": [drawing()], "control_mode": [0], "controlnet_conditioning_scale": 1.0},
    ),
    "two of a union": Case(
        "sdxl",
        words(controls=of_sdxl("depth", "edges")),
        "StableDiffusionXLControlNetUnionPipeline",
        ("all",),
        {"control_image": [drawing()] * 2, "control_mode": [1, 3], "controlnet_conditioning_scale": 1.0},
    ),
    "union in img2img": Case(
        "sdxl",
        Img2Img(**FACTS, **FROM, controls=of_sdxl("soft")),
        "StableDiffusionXLControlNetUnionImg2ImgPipeline",
        ("all",),
        {
            "image": RED,
            "strength": 0.7,
            "control_image": [drawing()],
            "control_mode": [2],
            "controlnet_conditioning_scale": 1.0,
        },
    ),
    "sd3": Case(
        "sd3",
        words(controls=(Guide(image=drawing(), controlnet="sd3", conditioning_scale=0.6),)),
        "StableDiffusion3ControlNetPipeline",
        ("sd3",),
        {"control_image": drawing(), "controlnet_conditioning_scale": 0.6},
    ),
    "flux": Case(
        "flux",
        words(controls=(flux(),)),
        "FluxControlNetPipeline",
        ("canny-flux",),
        {"control_image": canny(disc()), "controlnet_conditioning_scale": 1.0},
    ),
    "two of flux": Case(
        "flux",
        words(
            controls=(flux(), Guide(image=disc(), controlnet="depth-kinds", conditioning_scale=0.5, guidance_end=0.5))
        ),
        "FluxControlNetPipeline",
        ("canny-flux", "kinds"),
        {"control_image": [canny(disc()), disc()], "control_mode": [None, 2], **TWO},
    ),
    "flux in img2img": Case(
        "flux",
        Img2Img(**FACTS, **FROM, controls=(flux(conditioning_scale=0.4),)),
        "FluxControlNetImg2ImgPipeline",
        ("canny-flux",),
        {"image": RED, "strength": 0.7, "control_image": canny(disc()), "controlnet_conditioning_scale": 0.4},
    ),
    "flux in inpaint": Case(
        "flux",
        Inpaint(**FACTS, **REDRAW, controls=(Guide(image=disc(), controlnet="edges-kinds", prepared=True),)),
        "FluxControlNetInpaintPipeline",
        ("kinds",),
        {
            "image": RED,
            "mask_image": half_mask(),
            "strength": 0.9,
            "control_image": disc(),
            "control_mode": 0,
            "controlnet_conditioning_scale": 1.0,
        },
    ),
}


def mean_without_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """SD3's pipeline draws its guide's latents with torch's own random numbers, which nothing can repeat."""
    kind = DiagonalGaussianDistribution
    drawn = kind.sample
    steady = lambda self, generator=None: self.mode() if generator is None else drawn(self, generator)  # noqa: E731
    monkeypatch.setattr(kind, "sample", steady)


def own(folder: Path, nets: Mapping[str, str], case: Case) -> Image.Image:
    """The same picture from diffusers, with nothing of Easel's."""
    loaded = [diffusers.AutoModel.from_pretrained(nets[name]) for name in case.nets]
    net = loaded if len(loaded) > 1 else loaded[0]
    pipe = getattr(diffusers, case.pipeline).from_pretrained(folder, controlnet=net)
    pipe.set_progress_bar_config(disable=True)
    named = {name: FACTS[name] for name in ("prompt", "num_inference_steps", "guidance_scale", "width", "height")}
    return pipe(**named, generator=torch.Generator().manual_seed(7), **case.call).images[0]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def engine_with(folders: dict[str, Path], nets: dict[str, str]) -> Callable[..., Engine]:
    models = {name: str(path) for name, path in folders.items()}
    return lambda **settings: Engine(models["sd1"], models=models, controlnets=nets, **settings)


async def test_alone_it_is_diffusers_own(
    folders: dict[str, Path],
    nets: dict[str, str],
    engine_with: Callable[..., Engine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with engine_with() as engine:
        plain = {name: (await engine.submit(words(model=name)).result())[0] for name in folders}
        for what, case in CASES.items():
            request = _of(case)
            image = (await engine.submit(request).result())[0]
            with monkeypatch.context() as patched:
                mean_without_generator(patched)
                expected = own(folders[case.model], nets, case)
            if isinstance(request, Inpaint):  # pasted, so it is bytes
                expected = Image.composite(expected, RED, half_mask())
                assert image.tobytes() == expected.tobytes(), what
                assert len(image.getcolors(4096) or ()) > 100
                continue
            assert difference(image, expected) == 0.0, what
            assert difference(image, plain[case.model]) > 0.01, f"{what} must have done something"
        again = {name: (await engine.submit(words(model=name)).result())[0] for name in folders}
    assert {name: difference(again[name], plain[name]) for name in folders} == dict.fromkeys(folders, 0.0)


def _of(case: Case) -> Txt2Img:
    return replace(case.request, model=case.model)


@pytest.mark.parametrize("model", ["sd1", "sdxl", "sd3", "flux"])
async def test_in_company_it_differs_by_rounding_only(engine_with: Callable[..., Engine], model: str) -> None:
    asked = [_of(case) for case in CASES.values() if case.model == model] + [words(model=model, seed=9)]
    async with engine_with() as engine:
        alone = [(await engine.submit(request).result())[0] for request in asked]
    async with engine_with(mode="fast") as engine:
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate(asked)]
        crowd = [(await ticket.result())[0] for ticket in tickets]
        forwards = (await engine.inspect()).forwards
    assert forwards["denoise"].most_joined > 1
    for request, one, other in zip(asked, alone, crowd, strict=True):
        if not isinstance(request, Inpaint):
            assert difference(one, other) <= ROUNDING


def test_a_guide_is_framed_as_what_it_leads_is(engine_with: Callable[..., Engine]) -> None:
    """Of an edit of a part, the ControlNet reads that part."""
    wide = Image.new("RGB", (256, 128))
    wide.paste("white", (200, 20, 220, 40))
    mask = Image.new("L", (256, 128))
    mask.paste(255, (190, 10, 230, 50))
    request = Inpaint(
        prompt="a", init_image=wide, mask=mask, only_masked=True, controls=(Guide(image=wide, prepared=True),)
    )
    info = engine_with().models()[0]
    region, inputs = request.prepare(info, 0)

    class Pipe:
        def __call__(self, control_image: Any) -> None: ...

    seen = guiding.seen(_sized(request), request.guides[0], region, lambda _, picture: picture)
    told = guiding.arguments(Pipe(), [(request.guides[0], seen, None)])
    assert told["control_image"].tobytes() == inputs["image"].tobytes()


def _sized(request: Inpaint) -> Inpaint:
    return replace(request, width=256, height=128)


def test_names_follow_from_what_a_union_can_do(engine_with: Callable[..., Engine]) -> None:
    kinds = {info.key: info.controlnets for info in engine_with().models()}
    assert kinds["sdxl"] == tuple(f"{each}-all" for each in ("pose", "depth", "soft", "edges", "normal", "segments"))
    assert kinds["flux"] == ("canny-flux", *(f"{each}-kinds" for each in ("edges", "tile", "depth", "blur", "pose")))
    assert engine_with().left_out() == ()


def test_what_can_not_be_led_is_refused_before_anything_runs(engine_with: Callable[..., Engine]) -> None:
    engine = engine_with()
    guide = Guide(image=RED, controlnet="sd3")
    for request, why in (
        (Img2Img(**FACTS, **FROM, model="sd3", controls=(guide,)), "sd3 can't follow a ControlNet in img2img"),
        (words(model="sd3", controls=(guide, guide)), "sd3 can't follow 2 pictures at once. Use 1"),
        (words(model="sd1", controls=(guide,)), "sd1 has no ControlNet 'sd3'. It has: lines, depth"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            engine.submit(request)
    with pytest.raises(InvalidRequest, match="at most 4"):
        words(controls=(guide,) * 5)
