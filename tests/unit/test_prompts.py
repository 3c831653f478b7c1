"""A1111's prompt language, PNG metadata, and the names of schedulers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.prompt.image_metadata import infotext
from engine import Control, Txt2Img, UnknownScheduler, Variation
from engine.api import metadata, schedulers
from engine.diffusion.prompts import Piece, is_plain, parse, plain_text
from engine.fake import MINI, paint, recipe_of
from engine.tasks.resolve import complete, find


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("a cat", (Piece("a cat"),)),
        ("a (cat:1.3)", (Piece("a "), Piece("cat", 1.3))),
        ("((cat))", (Piece("cat", pytest.approx(1.21)),)),
        ("[cat]", (Piece("cat", pytest.approx(1 / 1.1)),)),
        (r"\(cat\)", (Piece("(cat)"),)),
        ("a BREAK b", (Piece("a "), Piece(None), Piece(" b"))),
        ("at 12:30", (Piece("at 12:30"),)),
        ("(a:b", (Piece("a:b", pytest.approx(1.1)),)),
    ],
)
def test_weights(prompt: str, pieces: tuple[Piece, ...]) -> None:
    assert parse(prompt) == pieces


@given(st.text(st.characters(exclude_characters="()[]\\"), max_size=80).filter(lambda t: "BREAK" not in t))
def test_a_plain_prompt_stays_itself(prompt: str) -> None:
    assert is_plain(parse(prompt))
    assert plain_text(prompt) == prompt


@given(st.text("()[]:1.3ab \\BREAK", max_size=60))
def test_any_prompt_can_be_read(prompt: str) -> None:
    assert all(isinstance(piece, Piece) for piece in parse(prompt))


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("Euler a", "euler_a"),
        ("euler_ancestral", "euler_a"),
        ("DPM++ 2M Karras", "dpmpp_2m_karras"),
        ("dpmpp_2m_k", "dpmpp_2m_karras"),
        ("DPM++ 2M", "dpmpp_2m"),
        ("DDIM", "ddim"),
        ("UniPC", "unipc"),
        ("PLMS", "pndm"),
        ("LCM", "lcm"),
        ("EulerDiscreteScheduler", "euler"),
    ],
)
def test_scheduler_names(name: str, canonical: str) -> None:
    assert schedulers.resolve(name).name == canonical


def test_an_unknown_scheduler_is_told_what_there_is() -> None:
    with pytest.raises(UnknownScheduler, match="euler_a"):
        schedulers.resolve("magic")


@pytest.mark.parametrize("prompt", ["a red boat", "ein Boot, größer", "猫 🐈", "multi\nline: yes"])
def test_a_png_tells_how_it_was_made(prompt: str) -> None:
    request = complete(
        Txt2Img(prompt=prompt, negative_prompt="blur", seed=5, variations=(Variation(seed=6, strength=0.15),)),
        find((MINI,), None),
    )
    recipe = recipe_of(request, 1)
    png = metadata.encode_png(paint(5, 64, 64), recipe)
    assert metadata.decode(png) == recipe
    assert b"trainedAlgorithmicMedia" in png
    text = metadata.infotext(recipe)
    assert text.startswith(prompt)
    assert "Negative prompt: blur\nSteps: 4, Sampler: Euler, " in text
    assert "Seed: 5" in text
    assert "Variation seed: 7" in text


def test_a_png_tells_which_controlnet_led_it() -> None:
    led = replace(MINI, controlnets=("edges",), tasks=MINI.tasks | {"control"})
    picture = Image.new("RGB", (8, 8), "red")
    request = Control(prompt="a boat", control_image=picture, controlnet="edges", control_guidance_end=0.5)
    recipe = recipe_of(complete(request, led), 0)
    assert metadata.decode(metadata.encode_png(paint(5, 64, 64), recipe)) == recipe
    text = metadata.infotext(recipe)
    assert 'ControlNet 0: "Model: edges, Weight: 1, Guidance Start: 0, Guidance End: 0.5"' in text
    read = infotext.parse(text)
    assert read is not None
    assert read.from_picture
    assert ("ControlNet 0", "Model: edges, Weight: 1, Guidance Start: 0, Guidance End: 0.5") in read.others


@given(st.binary(max_size=200))
def test_strangers_files_have_no_recipe(data: bytes) -> None:
    assert metadata.decode(data) is None


def test_a_plain_png_has_no_recipe(tmp_path) -> None:  # type: ignore[no-untyped-def]
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert metadata.decode((tmp_path / "a.png").read_bytes()) is None
