"""Outlines for a ControlNet, what may be asked of one, and that the fake backend follows what it was given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine import Control, InvalidRequest
from engine.fake import MINI, FakeEngine
from engine.imaging import controlnet_preprocess


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
    ("name", "drawn"), [("edges", True), ("edges-xl", True), ("depth", False), ("edgeless", False), ("my-edges", False)]
)
def test_a_name_says_what_is_drawn(name: str, drawn: bool) -> None:
    plain = picture()
    assert (controlnet_preprocess.made_ready(plain, name).tobytes() != plain.tobytes()) == drawn
    assert ask(controlnet=name, prepared=True).guide().tobytes() == plain.tobytes()


def test_the_picture_covers_the_size() -> None:
    wide = ask(control_image=picture((128, 64)).convert("RGBA"), prepared=True, width=64, height=64).guide()
    assert (wide.mode, wide.size) == ("RGB", (64, 64))
    assert wide.tobytes() == picture((128, 64)).crop((32, 0, 96, 64)).tobytes(), "its middle, not squeezed"


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
    lines = np.asarray(ask().guide())[..., 0] > 0
    plain, faint, strong = (np.asarray(image).astype(int) for image in (none, half, full))
    assert (strong[lines] == 255).all()
    assert (faint[~lines] == plain[~lines]).all()
    assert plain[lines].sum() < faint[lines].sum() < strong[lines].sum()


@pytest.fixture
def led() -> FakeEngine:
    return FakeEngine((replace(MINI, controlnets=("edges",), tasks=MINI.tasks | {Control.task}),))
