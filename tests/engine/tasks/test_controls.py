"""Outlines for a ControlNet, what may be asked of one, and that the fake backend follows what it was given."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine import Control, InvalidRequest
from engine.fake import MINI, FakeEngine
from engine.imaging import controlnet_preprocess

CANNY_SHA256 = "a49bf0c28ea59379520eb5dd8b4914f22c54961818211a56ed0c3ff5510a1049"


def picture(size: tuple[int, int] = (64, 64)) -> Image.Image:
    image = Image.new("RGB", size, (40, 40, 160))
    image.paste((240, 240, 60), (16, 16, 48, 48))
    return image


def ask(**changes: Any) -> Control:
    facts = {"prompt": "a house", "seed": 3, "width": 64, "height": 64, "controlnet": "edges"}
    return Control(**{**facts, "control_image": picture(), **changes})


def test_outlines_are_white_on_black_and_only_where_something_begins() -> None:
    drawn = controlnet_preprocess.edges(picture())
    assert (drawn.mode, drawn.size) == ("RGB", (64, 64))
    assert {colour for _, colour in drawn.getcolors() or ()} == {(0, 0, 0), (255, 255, 255)}
    lines = np.asarray(drawn)[..., 0] > 0
    assert lines[32, 14:18].any()
    assert lines[14:18, 32].any()
    assert not lines[20:44, 20:44].any()
    assert not lines[:12].any()
    assert controlnet_preprocess.edges(Image.new("L", (9, 7), 200)).getextrema() == ((0, 0),) * 3


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("edges", True),
        ("edges-xl", True),
        ("canny", True),
        ("canny-2", True),
        ("depth", False),
        ("edgeless", False),
        ("my-edges", False),
    ],
)
def test_a_name_says_what_is_drawn(name: str, drawn: bool) -> None:
    plain = picture()
    assert (controlnet_preprocess.made_ready(plain, name).tobytes() != plain.tobytes()) == drawn


def test_canny_is_opencvs() -> None:
    """The sha256 is that of what OpenCV 5.0's `Canny(picture, 100, 200)` gives for the same pixels."""
    y, x = np.mgrid[0:96, 0:128]
    waves = [np.sin(x * x / 900 + y / 11 + channel) * np.cos(y * y / 700 - x / 17) for channel in range(3)]
    shapes = (((x - 60) ** 2 + (y - 45) ** 2 < 900) * 90 + ((x > 90) & (y > 50)) * -60)[..., None]
    colours = (np.round(np.stack(waves, -1) * 64) + 128 + shapes).clip(0, 255).astype(np.uint8)
    drawn = np.asarray(controlnet_preprocess.canny(Image.fromarray(colours)))
    assert hashlib.sha256(drawn[..., 0].tobytes()).hexdigest() == CANNY_SHA256
    assert (drawn == drawn[..., :1]).all()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"controlnet_conditioning_scale": 2.1}, "scale 2.1 is out of range. Use 0 to 2"),
        ({"controlnet_conditioning_scale": float("nan")}, "Use 0 to 2"),
        ({"control_guidance_start": -0.1}, "followed from -0.1 to 1.0"),
        ({"control_guidance_start": 0.6, "control_guidance_end": 0.6}, "larger than the start"),
        ({"control_guidance_end": 1.1}, "at most 1"),
        ({"width": 63}, "multiple of 8"),
    ],
)
def test_what_cannot_be_asked_gets_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        ask(**changes)


async def test_the_fake_follows_too(led: FakeEngine) -> None:
    async with led:
        (none,) = await led.submit(ask(controlnet_conditioning_scale=0.0)).result()
        (half,) = await led.submit(ask()).result()
        (full,) = await led.submit(ask(controlnet_conditioning_scale=2.0)).result()
        with pytest.raises(InvalidRequest, match=r"has no ControlNet 'depth'\. It has: edges"):
            led.submit(ask(controlnet="depth"))
    lines = np.asarray(controlnet_preprocess.edges(picture()))[..., 0] > 0
    plain, faint, strong = (np.asarray(image).astype(int) for image in (none, half, full))
    assert (strong[lines] == 255).all()
    assert (faint[~lines] == plain[~lines]).all()
    assert plain[lines].sum() < faint[lines].sum() < strong[lines].sum()


@pytest.fixture
def led() -> FakeEngine:
    return FakeEngine((replace(MINI, controlnets=("edges",), tasks=MINI.tasks | {Control.task}),))
