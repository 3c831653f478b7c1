"""Reference pictures in every task: diffusers' own call with the same embeddings, at the same scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from engine import Control, Engine, Img2Img, Inpaint, InvalidRequest, Reference, Txt2Img
from engine.tasks.pictures import Use
from tests.engine import conftest as tiny
from tests.engine.adapters.test_controlnets import controlnet, drawing
from tests.engine.adapters.test_image_prompts import engine_with, ip_adapter
from tests.engine.test_parity import ROUNDING, _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

SIZE = {"width": 64, "height": 64}
FACTS: dict[str, Any] = {"prompt": "a boat", "seed": 3, "num_inference_steps": 4, "guidance_scale": 5.0, **SIZE}
RED, NOISE = Image.new("RGB", (64, 64), "red"), Image.effect_noise((80, 40), 90).convert("RGB")
MASK = Image.new("L", (64, 64))
MASK.paste(255, (0, 0, 32, 64))
PIPELINES = {Img2Img: "Img2ImgPipeline", Inpaint: "InpaintPipeline"}


@pytest.fixture(scope="module")
def adapter(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ip_adapter(folders["sd1"], tmp_path_factory.mktemp("ip") / "sd1")


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """With as many levels and layers as the published one has, whose style is read in one of them; and its adapter."""
    root = tmp_path_factory.mktemp("xl")
    pipe = tiny.sdxl()
    torch.manual_seed(2)
    config = dict(pipe.unet.config) | {
        "block_out_channels": (8, 16, 16),
        "layers_per_block": 2,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    }
    pipe.register_modules(unet=diffusers.UNet2DConditionModel.from_config(config).eval())
    pipe.save_pretrained(root / "sdxl")
    return root / "sdxl", ip_adapter(root / "sdxl", root / "ip")


def of(image: Image.Image, weight: float = 1.0, use: Use = "all") -> Reference:
    return Reference(image=image, weight=weight, use=use)


def own(
    folder: Path,
    adapter: Path,
    request: Txt2Img,
    groups: Sequence[tuple[Any, dict[str, float]]],
    net: Path | None = None,
) -> Image.Image:
    """The same picture from diffusers: by group a scale, and the pictures with their parts of the whole."""
    pipe: Any = diffusers.AutoPipelineForText2Image.from_pretrained(folder)
    kind = type(pipe).__name__
    if net is not None:
        pipe = diffusers.AutoPipelineForText2Image.from_pipe(
            pipe, controlnet=diffusers.ControlNetModel.from_pretrained(net)
        )
    elif type(request) in PIPELINES:
        made = getattr(diffusers, kind.replace("Pipeline", PIPELINES[type(request)]))
        pipe = made.from_pipe(pipe)
    pipe.set_progress_bar_config(disable=True)
    count, name = len(groups), "ip-adapter.safetensors"
    pipe.load_ip_adapter([str(adapter)] * count, subfolder=[""] * count, weight_name=[name] * count)
    pipe.set_ip_adapter_scale([scale for scale, _ in groups])
    pictures = {"red": RED, "noise": NOISE}

    def seen(image: Image.Image) -> torch.Tensor:
        with torch.no_grad():
            found: list[torch.Tensor] = pipe.prepare_ip_adapter_image_embeds(
                [image] * count, None, torch.device("cpu"), 1, True
            )
        return found[0]

    named: dict[str, Any] = {
        k: FACTS[k] for k in ("prompt", "num_inference_steps", "guidance_scale", "width", "height")
    }
    if isinstance(request, Img2Img | Inpaint):
        named |= {"image": request.init_image, "strength": request.strength}
        named.pop("width"), named.pop("height")
    if isinstance(request, Inpaint):
        named["mask_image"] = request.mask
    if isinstance(request, Control):
        named["image"] = request.control_image
    embeds = [sum(seen(pictures[name]) * part for name, part in shares.items()) for _, shares in groups]
    generator = torch.Generator().manual_seed(3)
    return pipe(ip_adapter_image_embeds=embeds, generator=generator, **named).images[0]  # type: ignore[no-any-return]


async def test_words_and_pictures_are_painted_by_a_reference(
    folders: dict[str, Path], adapter: Path, tmp_path: Path
) -> None:
    net = controlnet(folders["sd1"], tmp_path / "lines", 1)
    two = (of(RED, 0.5), of(NOISE, 1.5))
    cases: list[tuple[Txt2Img, list[tuple[Any, dict[str, float]]]]] = [
        (Txt2Img(**FACTS, references=(of(RED),)), [(1.0, {"red": 1.0})]),
        (Txt2Img(**FACTS, references=two), [(1.5, {"red": 0.25, "noise": 0.75})]),
        (Img2Img(**FACTS, init_image=RED, strength=0.8, references=(of(NOISE, 0.6),)), [(0.6, {"noise": 1.0})]),
        (Control(**FACTS, control_image=drawing(), controlnet="lines", references=(of(RED),)), [(1.0, {"red": 1.0})]),
    ]
    async with engine_with(folders["sd1"], adapter, controlnets={"lines": str(net)}) as engine:
        plain = (await engine.submit(Txt2Img(**FACTS)).result())[0]
        for request, groups in cases:
            image = (await engine.submit(request).result())[0]
            led = net if isinstance(request, Control) else None
            assert difference(image, own(folders["sd1"], adapter, request, groups, led)) == 0.0, request
            assert difference(image, plain) > 0.01
        region = Inpaint(**FACTS, init_image=RED, mask=MASK, feather_px=0, references=(of(NOISE),))
        (image,) = await engine.submit(region).result()
        expected = own(folders["sd1"], adapter, region, [(1.0, {"noise": 1.0})])
        assert image.tobytes() == Image.composite(expected, RED, MASK).tobytes()
        assert difference((await engine.submit(Txt2Img(**FACTS)).result())[0], plain) == 0.0


async def test_style_and_composition_are_layers_of_sdxls(sdxl: tuple[Path, Path]) -> None:
    folder, adapter = sdxl
    style, layout = {"up": {"block_0": [0.0, 0.8, 0.0]}}, {"down": {"block_2": [0.0, 1.0]}}
    both = (of(NOISE, 1.0, "composition"), of(RED, 0.8, "style"))
    cases: list[tuple[tuple[Reference, ...], list[tuple[Any, dict[str, float]]]]] = [
        ((of(RED, 0.8, "style"),), [(style, {"red": 1.0})]),
        (both, [(style, {"red": 1.0}), (layout, {"noise": 1.0})]),
    ]
    async with engine_with(folder, adapter) as engine:
        for references, groups in cases:
            request = Txt2Img(**FACTS, references=references)
            image = (await engine.submit(request).result())[0]
            assert difference(image, own(folder, adapter, request, groups)) == 0.0, references


LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)


def masked(folder: Path, adapter: Path, guidance: float) -> Image.Image:
    """Diffusers' own: one picture for the left half, louder one for the right."""
    pipe: Any = diffusers.AutoPipelineForText2Image.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    name = "ip-adapter.safetensors"
    pipe.load_ip_adapter([str(adapter)] * 2, subfolder=["", ""], weight_name=[name, name])
    pipe.set_ip_adapter_scale([0.7, 1.2])
    masks = [torch.zeros(1, 1, 64, 64) for _ in range(2)]
    masks[0][..., :32], masks[1][..., 32:] = 1.0, 1.0
    named = {name: FACTS[name] for name in ("prompt", "num_inference_steps", "width", "height")}
    return pipe(  # type: ignore[no-any-return]
        ip_adapter_image=[[RED], [NOISE]],
        cross_attention_kwargs={"ip_adapter_masks": masks},
        generator=torch.Generator().manual_seed(3),
        guidance_scale=guidance,
        **named,
    ).images[0]


@pytest.mark.parametrize("guidance", [5.0, 1.0])
async def test_a_reference_may_be_for_a_part_of_the_picture(
    folders: dict[str, Path], adapter: Path, guidance: float
) -> None:
    """Also without guidance, where a call has one row, as a mask has."""
    red, noise = replace(of(RED, 0.7), part=LEFT), replace(of(NOISE, 1.2), part=RIGHT)
    facts = {**FACTS, "guidance_scale": guidance}
    async with engine_with(folders["sd1"], adapter) as engine:
        (alone,) = await engine.submit(Txt2Img(**facts, references=(red, noise))).result()
        assert difference(alone, masked(folders["sd1"], adapter, guidance)) == 0.0
    async with engine_with(folders["sd1"], adapter, mode="fast") as engine:
        asked = [Txt2Img(**facts, references=(red, noise)), Txt2Img(**facts, references=(of(RED, 0.7),))]
        asked.append(Txt2Img(**facts, references=(replace(red, part=RIGHT), replace(noise, part=LEFT))))
        tickets = [engine.submit(request, user=str(n)) for n, request in enumerate(asked)]
        both, whole, swapped = [(await ticket.result())[0] for ticket in tickets]
        assert difference(both, alone) <= ROUNDING
        assert min(difference(both, whole), difference(both, swapped)) > 0.01


async def test_parts_that_cannot_be_are_refused(folders: dict[str, Path], adapter: Path) -> None:
    with pytest.raises(InvalidRequest, match="no part"):
        replace(of(RED), part=(0.5, 0.0, 0.5, 1.0))
    parts = tuple(replace(of(RED), part=(number / 8, 0.0, 1.0, 1.0)) for number in range(5))
    async with engine_with(folders["sd1"], adapter) as engine:
        with pytest.raises(InvalidRequest, match="5 parts are too many"):
            engine.submit(Txt2Img(**FACTS, references=parts))
        with pytest.raises(InvalidRequest, match="are for all of it"):
            engine.submit(Inpaint(**FACTS, init_image=RED, mask=MASK, references=parts[:1]))


async def test_a_picture_is_read_once(folders: dict[str, Path], adapter: Path) -> None:
    async with engine_with(folders["sd1"], adapter) as engine:
        await engine.submit(Txt2Img(**FACTS, references=(of(RED),), num_images=3)).result()
        first = (await engine.inspect()).forwards["encode"].count
        await engine.submit(Txt2Img(**FACTS, references=(of(RED, 0.4),), num_images=3)).result()
        again = (await engine.inspect()).forwards["encode"].count
    assert first == again, "neither words nor picture changed, only how loudly it speaks"


async def test_in_company_it_differs_by_rounding_only(folders: dict[str, Path], adapter: Path) -> None:
    asked = [Txt2Img(**{**FACTS, "seed": seed}, references=(of(RED), of(NOISE, seed / 10))) for seed in (3, 4, 5)]
    asked.append(Txt2Img(**FACTS))
    async with engine_with(folders["sd1"], adapter) as engine:
        alone = [(await engine.submit(request).result())[0] for request in asked]
    async with engine_with(folders["sd1"], adapter, mode="fast") as engine:
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate(asked)]
        crowd = [(await ticket.result())[0] for ticket in tickets]
        assert (await engine.inspect()).forwards["denoise"].most_joined > 1
    assert max(difference(*pair) for pair in zip(alone, crowd, strict=True)) <= ROUNDING
    assert len({np.asarray(image).tobytes() for image in alone}) == 4


async def test_the_recipe_tells_of_it(folders: dict[str, Path], adapter: Path) -> None:
    async with engine_with(folders["sd1"], adapter) as engine:
        ticket = engine.submit(Txt2Img(**FACTS, references=(of(RED, 0.5),)))
        (recipe,) = [event.recipe for event in [e async for e in ticket] if hasattr(event, "recipe")]
    (told,) = recipe.request["references"]
    assert (told["weight"], told["use"], len(told["image"])) == (0.5, "all", 64)
    assert recipe.adapters.keys() == {"ip-adapter", "image_encoder"}


def test_what_can_not_be_read_is_refused_before_anything_runs(folders: dict[str, Path], adapter: Path) -> None:
    with_eyes, blind = engine_with(folders["sd1"], adapter), Engine(str(folders["sd1"]))
    for engine, reference, why in (
        (blind, of(RED), "sd1 can't read reference pictures. It needs an IP-Adapter"),
        (with_eyes, of(RED, 1.0, "style"), "sd1 can't read the style of a picture alone. Use all of it, or SDXL"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            engine.submit(Txt2Img(**FACTS, references=(reference,)))
    for build, why in (
        (lambda: of(RED, 0.0), "more than 0"),
        (lambda: of(RED, 2.1), "at most 2"),
        (lambda: of(RED, 1.0, "mood"), "all, style, composition"),  # type: ignore[arg-type]
        (lambda: Txt2Img(prompt="a", references=(of(RED),) * 9), "at most 8"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            build()
