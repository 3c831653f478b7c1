"""The engine paints what diffusers' own pipelines paint."""

from __future__ import annotations

import asyncio
import copy
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from engine import Engine, Img2Img, Txt2Img
from engine.timetables import build

SIZE = {"width": 64, "height": 64}
RED = Image.new("RGB", (64, 64), "red")


def pixels(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image).astype(int)


@cache
def loaded(folder: Path) -> Any:
    pipe = diffusers.AutoPipelineForText2Image.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def own(folder: Path, request: Txt2Img) -> Image.Image:
    """The same picture from diffusers, with nothing of Easel's but the scheduler's name."""
    pipe = copy.copy(loaded(folder))
    if request.scheduler:
        pipe.scheduler = build(request.scheduler, pipe.scheduler, is_default=False)
    arguments: dict[str, Any] = dict(SIZE)
    if isinstance(request, Img2Img):
        pipe = diffusers.AutoPipelineForImage2Image.from_pipe(pipe)
        pipe.set_progress_bar_config(disable=True)
        arguments = {"image": request.init_image, "strength": request.strength}
    if request.negative_prompt:
        arguments["negative_prompt"] = request.negative_prompt
    return pipe(
        prompt=request.prompt,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        generator=torch.Generator().manual_seed(request.seed or 0),
        **arguments,
    ).images[0]


def ask(**changes: Any) -> Txt2Img:
    return Txt2Img(
        **{"prompt": "a red boat", "seed": 7, "num_inference_steps": 5, "guidance_scale": 5.0, **SIZE, **changes}
    )


SOLO: list[tuple[str, Txt2Img]] = [
    *(
        ("sd1", ask(scheduler=name))
        for name in ["euler", "euler_a", "dpmpp_2m", "dpmpp_2m_karras", "ddim", "unipc", "heun", "pndm", "lms", "lcm"]
    ),
    ("sd1", ask(guidance_scale=1.0)),
    ("sd1", ask(negative_prompt="blue")),
    ("sdxl", ask()),
    ("sdxl", ask(negative_prompt="blue", scheduler="dpmpp_2m")),
    ("sd3", ask()),
    ("flux", ask(guidance_scale=3.5)),
    (
        "sd1",
        Img2Img(
            prompt="a boat", seed=3, num_inference_steps=6, guidance_scale=5.0, init_image=RED, strength=0.5, **SIZE
        ),
    ),
    (
        "sdxl",
        Img2Img(
            prompt="a boat", seed=3, num_inference_steps=6, guidance_scale=5.0, init_image=RED, strength=0.5, **SIZE
        ),
    ),
    (
        "sd3",
        Img2Img(
            prompt="a boat", seed=3, num_inference_steps=6, guidance_scale=5.0, init_image=RED, strength=0.5, **SIZE
        ),
    ),
]


async def test_alone_every_picture_is_bitwise_diffusers_own(folders: dict[str, Path]) -> None:
    first, *others = [str(folders[name]) for name in ("sd1", "sdxl", "sd3", "flux")]
    async with Engine(first, models={Path(o).name: o for o in others}) as engine:
        for family, request in SOLO:
            request = type(request)(**{**_fields(request), "model": family})
            image = (await engine.submit(request).result())[0]
            expected = own(folders[family], request)
            assert np.array_equal(pixels(image), pixels(expected)), (family, request)


def _fields(request: Txt2Img) -> dict[str, Any]:
    return {name: getattr(request, name) for name in type(request).__dataclass_fields__}


MIXED = [
    ask(),
    ask(seed=8, scheduler="dpmpp_2m", num_inference_steps=3),
    ask(seed=9, scheduler="ddim", guidance_scale=2.0),
    ask(seed=10, guidance_scale=1.0),
    Img2Img(prompt="a boat", seed=3, num_inference_steps=6, guidance_scale=5.0, init_image=RED, strength=0.5, **SIZE),
]


@pytest.mark.parametrize("family", ["sd3", "flux"])
async def test_flow_models_share_calls_too(folders: dict[str, Path], family: str) -> None:
    requests = [ask(), ask(seed=8, num_inference_steps=3), ask(seed=9, guidance_scale=2.0)]
    async with Engine(str(folders[family]), mode="fast") as engine:
        tickets = [engine.submit(request) for request in requests]
        images = [(await t.result())[0] for t in tickets]
    for request, image in zip(requests, images, strict=True):
        assert np.abs(pixels(image) - pixels(own(folders[family], request))).max() <= 1, request


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
async def test_mixed_batches_change_nothing_one_could_see(folders: dict[str, Path], family: str) -> None:
    async with Engine(str(folders[family]), mode="fast") as engine:
        tickets = [engine.submit(request, user=str(i)) for i, request in enumerate(MIXED)]
        images = [(await t.result())[0] for t in tickets]
        assert engine._worker is not None
    for request, image in zip(MIXED, images, strict=True):
        assert np.abs(pixels(image) - pixels(own(folders[family], request))).max() <= 1, request


@pytest.mark.parametrize("family", ["sd1", "flux"])
async def test_exact_mode_gives_the_same_bytes_in_any_company(
    folders: dict[str, Path], family: str, tmp_path: Path
) -> None:
    """Alone, in a crowd, joined late; once with own rows and once with rows padded to a pinned count."""
    request = ask()
    for pinned in (False, True):
        async with Engine(str(folders[family]), data_dir=tmp_path) as engine:
            if pinned:
                await engine.submit(ask(num_inference_steps=1)).result()
                _pin(engine, 4)
            alone = (await engine.submit(request).result())[0]
            crowd = [engine.submit(ask(seed=seed, num_images=2), user=str(seed)) for seed in (20, 30)]
            await asyncio.sleep(0.01)
            late = (await engine.submit(request, user="late").result())[0]
            for ticket in crowd:
                await ticket.result()
        assert late.tobytes() == alone.tobytes()


def _pin(engine: Engine, rows: int) -> None:
    """As if this device had been measured and found to gain from larger batches."""
    assert engine._worker is not None
    worker = engine._worker
    worker._batching = True
    for name in list(worker._rows._names.values()):
        worker._rows._pins.put(name, rows)


async def test_padded_rows_are_joined_and_split_right(folders: dict[str, Path]) -> None:
    async with Engine(str(folders["sd1"])) as engine:
        reference = await engine.submit(ask(num_images=3)).result()
        _pin(engine, 4)
        padded = await engine.submit(ask(num_images=3)).result()
    for before, after in zip(reference, padded, strict=True):
        assert np.abs(pixels(before) - pixels(after)).max() <= 1


async def test_a_cell_of_a_grid_can_be_made_again_alone(folders: dict[str, Path]) -> None:
    async with Engine(str(folders["sd1"])) as engine:
        grid = await engine.submit(ask(num_images=4)).result()
        cell = (await engine.submit(ask(seed=9)).result())[0]
    assert grid[2].tobytes() == cell.tobytes()
    assert len({image.tobytes() for image in grid}) == 4
