"""`weird` bends the noise that a picture begins with, `stop_at` ends it early; both do so for every scheduler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine import Engine, InvalidRequest, Progress, Txt2Img
from engine.diffusion.noise import Uneven, generator

PROMPT, STEPS = "a red boat on the sea under a yellow sun", 6
NATIVE_PX = 256  # at other sizes what Mini paints is no picture, so nothing can be said of its detail


async def painted(engine: Engine, side_px: int = 64, **how: Any) -> tuple[Image.Image, set[int]]:
    """One picture, and of how many steps it told."""
    ticket = engine.submit(
        Txt2Img(prompt=PROMPT, seed=7, num_inference_steps=STEPS, width=side_px, height=side_px, **how), user="x"
    )
    told = {event.steps async for event in ticket if isinstance(event, Progress)}
    (image,) = await ticket.result()
    return image, told


def far(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


def alike(one: Image.Image, other: Image.Image) -> float:
    """How far the pictures' brightness goes up and down together, -1..1."""
    pixels = [np.asarray(each.convert("L"), float).ravel() for each in (one, other)]
    return float(np.corrcoef(*pixels)[0, 1])


def roughness(image: Image.Image) -> float:
    pixels = np.asarray(image.convert("L"), float)
    return float(np.abs(np.diff(pixels, axis=0)).mean() + np.abs(np.diff(pixels, axis=1)).mean())


async def test_a_picture_that_stops_early_is_the_same_without_its_detail() -> None:
    async with Engine(model="mini", threads=1) as engine:
        whole, all_steps = await painted(engine, NATIVE_PX)
        early, fewer = await painted(engine, NATIVE_PX, stop_at=0.5)
        assert (all_steps, fewer) == ({STEPS}, {STEPS // 2})
        assert 0.5 < alike(whole, early) < 1, "it shows the same"
        assert roughness(early) < 1.2 * roughness(whole), "nothing is left of the noise that was in it"
        assert (await painted(engine, NATIVE_PX, stop_at=0.5))[0].tobytes() == early.tobytes()


async def test_every_scheduler_can_stop_early() -> None:
    async with Engine(model="mini", threads=1) as engine:
        whole, _ = await painted(engine)
        for scheduler in (each.name for each in engine.models()[0].schedulers):
            early, _ = await painted(engine, stop_at=0.6, scheduler=scheduler)
            assert roughness(early) < 2 * roughness(whole), scheduler


async def test_weird_noise_gives_another_picture_and_the_same_again() -> None:
    async with Engine(model="mini", threads=1) as engine:
        usual, weird = (await painted(engine))[0], (await painted(engine, weird=1.0))[0]
        assert far(usual, weird) > 1
        assert (await painted(engine, weird=1.0))[0].tobytes() == weird.tobytes()


def test_weird_noise_is_as_strong_as_any_and_has_larger_shapes() -> None:
    base = generator(7)
    with Uneven(base, 1.0):
        noise = torch.randn((1, 4, 64, 64), generator=base)
    plain = torch.randn((1, 4, 64, 64), generator=generator(7))
    assert abs(float(noise.std()) - float(plain.std())) < 0.05
    neighbours = [float((each[..., 1:] * each[..., :-1]).mean()) for each in (plain, noise)]
    assert neighbours[1] > neighbours[0] + 0.1
    with Uneven(base, 1.0):
        other = torch.randn((1, 4, 8, 8), generator=generator(7))
    assert torch.equal(other, torch.randn((1, 4, 8, 8), generator=generator(7))), "others' noise is left alone"


@pytest.mark.parametrize("how", [{"weird": 1.1}, {"weird": -0.1}, {"stop_at": 0.05}, {"stop_at": 1.5}])
def test_what_is_out_of_range_is_refused(how: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest):
        Txt2Img(prompt="a", **how)
