"""Inpainting through the engine is diffusers' own, and leaves the rest of the picture alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from engine import Engine, Img2Img, Inpaint, InvalidRequest, Outpaint, Txt2Img
from engine.imaging import masks

STEPS = {"num_inference_steps": 4, "guidance_scale": 5.0}


def picture(size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def square(size: tuple[int, int]) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(255, (size[0] // 4, size[1] // 4, size[0] // 2 + 3, size[1] // 2 + 5))
    return mask


def ask(size: tuple[int, int] = (64, 64), **changes: Any) -> Inpaint:
    values = {"prompt": "a boat", "seed": 3, "init_image": picture(size), "mask": square(size), **STEPS, **changes}
    return Inpaint(**values)


def own(pipe: Any, request: Inpaint) -> Image.Image:
    """The same picture from diffusers alone, before anything is pasted."""
    pipe.set_progress_bar_config(disable=True)
    size = {"width": request.init_image.width, "height": request.init_image.height}
    return pipe(
        prompt=request.prompt,
        image=request.init_image,
        mask_image=request.mask,
        strength=request.strength,
        generator=torch.Generator().manual_seed(request.seed or 0),
        **STEPS,
        **size,
    ).images[0]


def laid_over(request: Inpaint, painted: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(Image.composite(painted, request.init_image, masks.feathered(request.mask, request.feather_px)))


@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3", "flux"])
async def test_alone_it_is_bitwise_diffusers_own(folders: dict[str, Path], family: str) -> None:
    pipe = diffusers.AutoPipelineForInpainting.from_pretrained(folders[family])
    requests = [ask(), ask(strength=0.6, feather_px=0)]
    async with Engine(str(folders[family])) as engine:
        for request in requests:
            (image,) = await engine.submit(request).result()
            assert np.array_equal(np.asarray(image), laid_over(request, own(pipe, request)))


@pytest.fixture(scope="session")
def nine_channels(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = diffusers.StableDiffusionPipeline.from_pretrained(folders["sd1"])
    torch.manual_seed(2)
    unet = diffusers.UNet2DConditionModel.from_config({**base.unet.config, "in_channels": 9})
    parts = {**base.components, "unet": unet}
    folder = tmp_path_factory.mktemp("nine")
    diffusers.StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False).save_pretrained(folder)
    return folder


async def test_models_made_for_inpainting_work_too(nine_channels: Path) -> None:
    pipe = diffusers.StableDiffusionInpaintPipeline.from_pretrained(nine_channels)
    request = ask()
    async with Engine(str(nine_channels)) as engine:
        assert engine.models()[0].family == "sd1"
        (image,) = await engine.submit(request).result()
        with pytest.raises(InvalidRequest, match="can't do txt2img"):
            engine.submit(Txt2Img(prompt="a"))
    assert np.array_equal(np.asarray(image), laid_over(request, own(pipe, request)))


async def test_it_shares_calls_with_other_tasks(folders: dict[str, Path]) -> None:
    size = {"width": 64, "height": 64}
    requests: list[Txt2Img] = [
        ask(),
        Txt2Img(prompt="a boat", seed=4, **STEPS, **size),
        Img2Img(prompt="a boat", seed=5, init_image=picture((64, 64)), **STEPS, **size),
        ask(strength=0.5, seed=6),
    ]
    async with Engine(str(folders["sd1"])) as engine:
        alone = [(await engine.submit(request).result())[0] for request in requests]
    async with Engine(str(folders["sd1"]), mode="fast") as engine:
        await engine.submit(requests[1]).result()
        tickets = [engine.submit(request, user=str(i)) for i, request in enumerate(requests)]
        mixed = [(await ticket.result())[0] for ticket in tickets]
        assert (await engine.inspect()).forwards["denoise"].most_rows >= 4  # a job with guidance is two rows
    for before, after in zip(alone, mixed, strict=True):
        assert np.abs(np.asarray(before).astype(int) - np.asarray(after)).max() <= 1


@pytest.mark.parametrize("size", [(101, 67), (65, 130), (70, 70)])
@pytest.mark.parametrize("changes", [{}, {"only_masked": True, "fill": "blur"}, {"fill": "noise"}])
async def test_any_size_keeps_its_outside(
    folders: dict[str, Path], size: tuple[int, int], changes: dict[str, Any]
) -> None:
    request = ask(size, feather_px=6, **changes)
    async with Engine(str(folders["sd1"])) as engine:
        (image,) = await engine.submit(request).result()
    kept = np.asarray(masks.feathered(request.mask, 6)) == 0
    assert image.size == size
    before, after = np.asarray(request.init_image), np.asarray(image)
    assert np.array_equal(before[kept], after[kept])
    assert not np.array_equal(before[~kept], after[~kept])


async def test_outpainting_is_inpainting_of_the_mirrored_border(folders: dict[str, Path]) -> None:
    image = picture((40, 64))
    request = Outpaint(prompt="a boat", seed=3, init_image=image, right=24, strength=0.7, feather_px=8, **STEPS)
    larger, mask = masks.extended(image, (0, 0, 24, 0))
    same = Inpaint(prompt="a boat", seed=3, init_image=larger, mask=mask, strength=0.7, feather_px=8, **STEPS)
    async with Engine(str(folders["sd1"])) as engine:
        (outpainted,) = await engine.submit(request).result()
        (inpainted,) = await engine.submit(same).result()
    assert outpainted.tobytes() == inpainted.tobytes()
    assert np.array_equal(np.asarray(outpainted)[:, :32], np.asarray(image)[:, :32])
