"""The judge by pixels passes the renderer's own pictures and fails malformed ones: it is not kind."""

import random

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline
from PIL import Image, ImageDraw, ImageFilter

from engine.mini.ruler import Question, answers, comparison, sign_test
from engine.mini.silhouettes import edge_width, has_colour, pieces, verdict
from engine.mini.train.render import render
from engine.mini.train.scenes import Scene, Thing
from engine.mini.words import COLOURS, THINGS

WHITE = (250, 250, 248)


def drawing(kind: str, colour: str, seed: int = 1, radius: float = 0.24, x: float = 0.5) -> Image.Image:
    thing = Thing(kind=kind, colour=colour, radius=radius, x=x)
    return render(Scene(style="flat", scene="plain", background="white", things=(thing,)), seed, 256)


def doubled(kind: str, colour: str) -> Image.Image:
    left, right = (np.asarray(drawing(kind, colour, radius=0.2, x=x)) for x in (0.25, 0.75))
    return Image.fromarray(np.minimum(left, right))


def potato(colour: str) -> Image.Image:
    """A lump of the right colour and about the right size."""
    picture = Image.new("RGB", (256, 256), WHITE)
    ImageDraw.Draw(picture).polygon(
        [(80, 110), (120, 75), (175, 85), (192, 130), (160, 178), (100, 172), (72, 148)], fill=COLOURS[colour]
    )
    return picture.filter(ImageFilter.GaussianBlur(4))


@pytest.mark.parametrize("kind", THINGS)
def test_the_renderer_passes_its_own_judge(kind: str) -> None:
    dice = random.Random(kind)
    colour = dice.choice([colour for colour in COLOURS if colour != "white"])
    found = verdict(drawing(kind, colour, dice.randrange(99), dice.uniform(0.2, 0.3)), kind, colour)
    assert found.right, found


@pytest.mark.parametrize("kind", ["cat", "star", "house", "rocket", "fish", "boat"])
def test_two_where_one_was_asked_fail(kind: str) -> None:
    assert not verdict(doubled(kind, "red"), kind, "red").right


@pytest.mark.parametrize("kind", [kind for kind in THINGS if kind not in ("circle", "apple")])
def test_a_potato_fails(kind: str) -> None:
    """Circles and apples are lumps themselves."""
    assert not verdict(potato("green"), kind, "green").shaped


def test_another_colour_fails() -> None:
    picture = drawing("cat", "blue")
    assert has_colour(picture, pieces(picture)[0], "cat", "blue")
    assert not verdict(picture, "cat", "purple").right
    assert not verdict(picture, "cat", "red").right


def test_no_thing_passes_for_another() -> None:
    kinds = ("cat", "star", "house", "fish", "rocket", "car", "tree", "umbrella")
    mistaken = [
        (kind, other)
        for kind in kinds
        for other in kinds
        if kind != other and verdict(drawing(kind, "red"), other, "red").shaped
    ]
    assert mistaken == []


def test_nothing_is_not_a_thing() -> None:
    assert verdict(Image.new("RGB", (256, 256), WHITE), "cat", "red").pieces == 0


@pytest.mark.parametrize("kind", ["cat", "house", "star"])
def test_a_blurred_edge_is_wider(kind: str) -> None:
    sharp = drawing(kind, "red")
    soft = sharp.filter(ImageFilter.GaussianBlur(1.5))
    assert edge_width(soft) > 1.3 * edge_width(sharp)


def test_what_the_noise_hides_most_is_lost_most(pipeline: StableDiffusionPipeline) -> None:
    """The autoencoder alone keeps silhouettes; painted over, a robot is none of the renderer's any more."""
    asked = [Question(kind=kind, colour="green") for kind in ("robot", "sun", "fish", "flower")]
    agreed = []
    for strength in (0.0, 0.5):
        pictures, truths = answers(pipeline, asked, strength)
        assert pictures != truths
        found = [verdict(picture, q.kind, q.colour) for picture, q in zip(pictures, asked, strict=True)]
        agreed.append(float(np.mean([v.outline for v in found])))
        assert all(v.right for v in found) or strength
    assert agreed[0] > agreed[1] + 0.03


def test_models_are_compared_by_the_pictures_in_which_they_differ() -> None:
    ours, theirs = [True] * 9 + [False], [True] * 3 + [False] * 6 + [True]
    *_, line = comparison({"one piece": ours}, {"one piece": theirs})
    assert line == "| one piece | 10 | 0.90 | 0.40 | 6 | 1 | 0.125 |"


def test_chance_is_two_sided_and_exact() -> None:
    assert sign_test(0, 0) == sign_test(4, 4) == 1.0
    assert sign_test(0, 5) == sign_test(5, 0) == pytest.approx(2 / 32)
    assert sign_test(1, 9) == pytest.approx(2 * (1 + 10) / 1024)
