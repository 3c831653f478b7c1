"""With a T2I-Adapter the engine paints what diffusers' adapter pipelines paint, and more than they can."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from engine import Engine, Guide, Img2Img, InvalidRequest, Txt2Img
from engine.diffusion import steering
from tests.engine import conftest as tiny
from tests.engine.adapters.test_controlnets import FACTS, controlnet, drawing
from tests.engine.adapters.test_guides import disc
from tests.engine.conftest import gain_from_rows
from tests.engine.test_parity import ROUNDING, _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

KINDS: dict[str, dict[str, Any]] = {
    "sketch": {"in_channels": 1, "adapter_type": "full_adapter", "downscale_factor": 2, "channels": [16, 32]},
    "depth": {"in_channels": 3, "adapter_type": "light_adapter", "downscale_factor": 2, "channels": [16, 32]},
    "lines-xl": {"in_channels": 3, "adapter_type": "full_adapter_xl", "downscale_factor": 4, "channels": [16, 32, 32]},
}
SKETCH = Guide(image=drawing(), controlnet="sketch")
DEPTH = Guide(image=disc(), controlnet="depth", conditioning_scale=0.7)
LINES = Guide(image=drawing(), controlnet="lines-xl", conditioning_scale=0.5, guidance_end=0.6)


@pytest.fixture(scope="module")
def folders(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of SD 1.x one whose first level reads the text, as the published one's does: what is added there is as large."""
    pipe = tiny.sd1()
    torch.manual_seed(2)
    config = dict(pipe.unet.config) | {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    pipe.register_modules(unet=diffusers.UNet2DConditionModel.from_config(config).eval())
    pipe.save_pretrained(place := tmp_path_factory.mktemp("models") / "sd1")
    return {**folders, "sd1": place}


@pytest.fixture(scope="module")
def nets(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("t2i")
    for name, facts in KINDS.items():
        torch.manual_seed(len(name))
        net = diffusers.T2IAdapter(**{"num_res_blocks": 1, **facts})
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        net.save_pretrained(root / name)
    controlnet(folders["sd1"], root / "lines", 1)
    return {name: str(root / name) for name in (*KINDS, "lines")}


def words(**changes: Any) -> Txt2Img:
    return Txt2Img(**{**FACTS, **changes})


def own(folder: Path, nets: dict[str, str], kind: str, guides: list[Guide], **more: Any) -> Image.Image:
    """The same picture from diffusers, with nothing of Easel's."""
    loaded = [diffusers.T2IAdapter.from_pretrained(nets[guide.controlnet]) for guide in guides]
    images = [g.image.convert("L" if KINDS[g.controlnet]["in_channels"] == 1 else "RGB") for g in guides]
    scales = [guide.conditioning_scale for guide in guides]
    alone = len(guides) == 1
    pipe = getattr(diffusers, kind).from_pretrained(folder, adapter=loaded[0] if alone else loaded)
    pipe.set_progress_bar_config(disable=True)
    named = {name: FACTS[name] for name in ("prompt", "num_inference_steps", "guidance_scale", "width", "height")}
    latents = pipe(
        **named,
        image=images[0] if alone else images,
        adapter_conditioning_scale=scales[0] if alone else scales,
        generator=torch.Generator().manual_seed(7),
        output_type="latent",
        **more,
    ).images
    with torch.no_grad():
        decoded = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    return pipe.image_processor.postprocess(decoded, output_type="pil")[0]  # type: ignore[no-any-return]


def own_repainted(folder: Path, path: str, guide: Guide, start: Image.Image, **more: Any) -> Image.Image:
    """What diffusers has no pipeline for: its img2img, whose UNet is given what the adapter makes of the picture."""
    net = diffusers.T2IAdapter.from_pretrained(path)
    pipe = diffusers.AutoPipelineForImage2Image.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    pixels = torch.tensor(np.asarray(guide.image.convert("RGB")), dtype=torch.float32)[None] / 255
    found = net(pixels.permute(0, 3, 1, 2))
    forward = pipe.unet.forward

    def led(sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        levels = [torch.cat([level * guide.conditioning_scale] * 2) for level in found]
        return forward(sample, *args, down_intrablock_additional_residuals=levels, **kwargs)

    pipe.unet.forward = led
    named = {name: FACTS[name] for name in ("prompt", "num_inference_steps", "guidance_scale")}
    generator = torch.Generator().manual_seed(7)
    return pipe(**named, image=start, generator=generator, **more).images[0]  # type: ignore[no-any-return]


async def test_alone_it_is_diffusers_own(folders: dict[str, Path], nets: dict[str, str]) -> None:
    red = Image.new("RGB", (64, 64), "red")
    asked = {
        "one": words(controls=(SKETCH,)),
        "two": words(controls=(replace(DEPTH, conditioning_scale=1.0), replace(DEPTH, image=drawing()))),
        "img2img": Img2Img(**FACTS, init_image=red, strength=0.7, controls=(DEPTH,)),
    }
    models = {"sdxl": str(folders["sdxl"])}
    async with Engine(str(folders["sd1"]), models=models, controlnets=nets) as engine:
        assert [info.controlnets for info in engine.models()] == [("sketch", "depth", "lines"), ("lines-xl",)]
        plain = (await engine.submit(words()).result())[0]
        images = {what: (await engine.submit(request).result())[0] for what, request in asked.items()}
        of_xl = (await engine.submit(words(model="sdxl", controls=(LINES,))).result())[0]
        after = (await engine.submit(words()).result())[0]
        ignored = (await engine.submit(words(controls=(replace(SKETCH, conditioning_scale=0),))).result())[0]
    sd1, pipeline = folders["sd1"], "StableDiffusionAdapterPipeline"
    assert difference(images["one"], own(sd1, nets, pipeline, [SKETCH])) == 0.0
    assert difference(images["two"], own(sd1, nets, pipeline, list(asked["two"].controls))) == 0.0
    assert difference(images["img2img"], own_repainted(sd1, nets["depth"], DEPTH, red, strength=0.7)) == 0.0
    expected = own(folders["sdxl"], nets, "StableDiffusionXLAdapterPipeline", [LINES], adapter_conditioning_factor=0.6)
    assert difference(of_xl, expected) == 0.0
    assert min(difference(images[what], plain) for what in ("one", "two")) > 0.01
    assert difference(after, plain) == difference(ignored, plain) == 0.0


async def test_in_company(
    folders: dict[str, Path], nets: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a ControlNet and plain jobs: by rounding together, and to the last bit in `exact` mode."""
    asked: list[Txt2Img] = [
        words(controls=(SKETCH,)),
        words(seed=8, num_inference_steps=4),
        words(seed=9, controls=(DEPTH,)),
        words(seed=10, controls=(Guide(image=disc(), controlnet="lines"), DEPTH)),
    ]
    async with Engine(str(folders["sd1"]), controlnets=nets) as engine:
        alone = [(await engine.submit(request).result())[0] for request in asked]
    async with Engine(str(folders["sd1"]), controlnets=nets, mode="fast") as engine:
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate(asked)]
        crowd = [(await ticket.result())[0] for ticket in tickets]
        forwards = (await engine.inspect()).forwards
    assert forwards["denoise"].most_joined > 1
    assert max(difference(one, other) for one, other in zip(alone, crowd, strict=True)) <= ROUNDING
    gain_from_rows(monkeypatch, 4)
    async with Engine(str(folders["sd1"]), controlnets=nets, data_dir=tmp_path) as engine:
        exact = (await engine.submit(asked[0]).result())[0]
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate(asked)]
        again = [(await ticket.result())[0] for ticket in tickets]
    assert again[0].tobytes() == exact.tobytes()


def test_a_side_that_is_no_whole_block_is_filled_up() -> None:
    net = diffusers.T2IAdapter(**{"num_res_blocks": 1, **KINDS["lines-xl"]})
    found = steering.features(net, Image.new("RGB", (62, 66)), LINES)
    assert tuple(found.levels[0].shape[2:]) == (17, 16)


async def test_the_recipe_and_what_cannot_be_one(
    folders: dict[str, Path], nets: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "alone.safetensors"
    file.write_bytes((Path(nets["sketch"]) / "diffusion_pytorch_model.safetensors").read_bytes())
    async with Engine(str(folders["sd1"]), controlnets={"sketch": nets["sketch"], "alone": str(file)}) as engine:
        request = words(controls=(SKETCH,))
        (recipe,) = [e.recipe for e in [e async for e in engine.submit(request)] if hasattr(e, "recipe")]
        (left_out,) = engine.left_out()
        with pytest.raises(InvalidRequest, match="has no ControlNet 'depth'"):
            engine.submit(words(controls=(DEPTH,)))
    assert [len(sha) for sha in recipe.adapters.values()] == [64]
    assert list(recipe.adapters) == ["t2i-adapter sketch"]
    assert "it is a T2I-Adapter: give its folder" in left_out.reason
