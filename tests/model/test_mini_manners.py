"""The measures of the styles know the renderer's own pictures apart."""

import random

import pytest
from PIL import Image, ImageFilter

from engine.mini.manners import manner
from engine.mini.ruler import answers, style_marks, styled
from engine.mini.train.render import render
from engine.mini.train.scenes import Scene, Thing
from engine.mini.words import COLOURS, STYLES, THINGS


def drawing(style: str, seed: int) -> Image.Image:
    dice = random.Random(seed)
    thing = Thing(kind=dice.choice(THINGS), colour=dice.choice([c for c in COLOURS if c != "white"]), radius=0.24)
    return render(Scene(style=style, scene="plain", background="white", things=(thing,)), seed, 256)


@pytest.mark.parametrize("style", STYLES)
def test_each_style_fits_its_own_measure_alone(style: str) -> None:
    measured = [manner(drawing(style, seed)) for seed in range(6)]
    assert [[other for other in STYLES if found.fits(other)] for found in measured] == [[style]] * 6, measured


def test_blurred_cells_are_no_pixel_art() -> None:
    assert not manner(drawing("pixel", 1).filter(ImageFilter.GaussianBlur(4))).fits("pixel")


def test_the_ruler_asks_for_every_style_and_passes_the_renderer() -> None:
    asked = styled()
    assert {question.style for question in asked} == {*STYLES} - {"flat"}
    assert asked[0].prompt.endswith("on a white background, outline")
    some = asked[::28]
    marks = style_marks(some, answers(None, some, None)[0])
    assert marks == {style: [True] for style in STYLES if style != "flat"}
