"""Small pictures of a request share their calls on a processor; the same request gives the same bytes all the same."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine import Engine, EngineError, ImageReady, Img2Img, Txt2Img
from engine.runtime import image_setup


def grid(**changes: Any) -> Txt2Img:
    facts: dict[str, Any] = {"prompt": "a red boat", "seed": 7, "num_inference_steps": 3, "guidance_scale": 5.0}
    return Txt2Img(**{**facts, "width": 64, "height": 64, "num_images": 4, "together": True, **changes})


def content(images: list[Image.Image]) -> list[bytes]:
    return [image.tobytes() for image in images]


def apart(images: list[Image.Image], others: list[Image.Image]) -> int:
    pairs = zip(images, others, strict=True)
    return max(int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max()) for a, b in pairs)


async def painted(engine: Engine, request: Txt2Img) -> list[ImageReady]:
    events = [event async for event in engine.submit(request)]
    return sorted((event for event in events if isinstance(event, ImageReady)), key=lambda ready: ready.index)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
async def test_a_grid_takes_one_call_a_step_and_is_what_it_would_be_within_rounding(
    folders: dict[str, Path], family: str
) -> None:
    async with Engine(str(folders[family])) as engine:
        ready = await painted(engine, grid())
        steps = (await engine.inspect()).forwards["denoise"]
        apiece = await painted(engine, grid(together=False))
        alone = await engine.submit(grid(num_images=1, seed=9)).result()
    assert (steps.count, steps.most_joined, steps.rows) == (3, 4, 24)
    assert {each.recipe.rows for each in ready} == {8}
    assert {each.recipe.rows for each in apiece} == {2}
    assert apart([each.image for each in ready], [each.image for each in apiece]) <= 1
    assert alone[0].tobytes() == apiece[2].image.tobytes()


async def test_the_same_request_gives_the_same_bytes_in_any_company(folders: dict[str, Path]) -> None:
    async with Engine(str(folders["sd1"])) as engine:
        first = content(await engine.submit(grid()).result())
        others = [engine.submit(grid(seed=50 + at, num_inference_steps=2 + at), user=str(at)) for at in range(4)]
        again = engine.submit(grid(), user="again")
        others[1].cancel()
        assert content(await again.result()) == first
        await asyncio.gather(*(other.result() for other in others), return_exceptions=True)
    async with Engine(str(folders["sd1"])) as engine:
        assert content(await engine.submit(grid()).result()) == first


async def test_more_than_fit_into_a_call_are_painted_in_groups(folders: dict[str, Path]) -> None:
    async with Engine(str(folders["sd1"])) as engine:
        await engine.submit(grid(num_images=6)).result()
        steps = (await engine.inspect()).forwards["denoise"]
    assert (steps.count, steps.rows) == (6, 3 * (8 + 4))


@pytest.mark.parametrize(("width", "rows"), [(64, 4), (72, 2)])
async def test_where_a_call_is_no_cheaper_for_company_pictures_are_painted_one_by_one(
    folders: dict[str, Path], width: int, rows: int
) -> None:
    """These models' latents have half of a picture's sides: 32 x 32, and 36 x 32."""
    async with Engine(str(folders["sd1"])) as engine:
        ready = await painted(engine, grid(width=width, num_images=2, num_inference_steps=1))
    assert {each.recipe.rows for each in ready} == {rows}


async def test_pictures_that_are_repainted_share_them_too(folders: dict[str, Path]) -> None:
    start = Image.new("RGB", (64, 64), "teal")
    request = Img2Img(**{**_facts(grid(num_images=3)), "init_image": start, "strength": 0.8})
    async with Engine(str(folders["sd1"])) as engine:
        ready = await painted(engine, request)
    assert {each.recipe.rows for each in ready} == {6}


def _facts(request: Txt2Img) -> dict[str, Any]:
    return {
        name: getattr(request, name) for name in ("prompt", "seed", "num_inference_steps", "num_images", "together")
    }


async def test_one_that_cannot_begin_costs_its_own_request_only(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = image_setup.begin

    def failing(request: Txt2Img, index: int, *rest: Any) -> Any:
        assert (request.seed, index) != (7, 2), "broken"
        return begin(request, index, *rest)

    monkeypatch.setattr(image_setup, "begin", failing)
    async with Engine(str(folders["sd1"])) as engine:
        broken, whole = engine.submit(grid()), engine.submit(grid(seed=20), user="other")
        with pytest.raises(EngineError):
            await broken.result()
        assert len(await whole.result()) == 4
