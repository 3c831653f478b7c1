"""The toy world: same seed, same pixels; captions tell the truth; the held-out split is honest."""

import random
from dataclasses import asdict, replace

import numpy as np
import pytest

from engine.mini.measure import centre, dominant_colour, foreground, roundness
from engine.mini.prompts import PHRASINGS, UNCOLOURED, held_out_cases
from engine.mini.train.captions import caption, with_article
from engine.mini.train.networks.clip import altered
from engine.mini.train.render import render
from engine.mini.train.scenes import (
    Diet,
    Scene,
    Thing,
    hidden_in,
    holds_out,
    home,
    is_at_home,
    is_held_out,
    sample_scene,
    training_scene,
    usual_colour,
)
from engine.mini.train.usual import HOME, HOMES, USUAL
from engine.mini.words import COLOURS, NUMBERS, PLACES, SCENES, STYLES, THINGS, names


def one(kind: str = "circle", colour: str = "red", **options: float) -> Scene:
    thing = Thing(kind=kind, colour=colour, radius=0.25)
    return Scene(style="flat", scene="plain", background="white", things=(replace(thing, **options),))


def test_the_same_seed_gives_the_same_pixels(rng: random.Random) -> None:
    for scene in [sample_scene(rng, Diet()) for _ in range(20)]:
        assert render(scene, 3).tobytes() == render(scene, 3).tobytes()


def test_another_seed_gives_another_sky() -> None:
    scene = replace(one(), scene="night", background=None)
    assert render(scene, 1).tobytes() != render(scene, 2).tobytes()


@pytest.mark.parametrize("style", STYLES)
def test_every_thing_can_be_drawn_in_every_style(style: str) -> None:
    empty = np.asarray(render(Scene(style=style, scene="plain", background="white", things=()), 0)).astype(int)
    for kind in THINGS:
        drawn = np.asarray(render(replace(one(kind), style=style), 0)).astype(int)
        assert (abs(drawn - empty).max(2) > 40).mean() > 0.01, kind


@pytest.mark.parametrize("scene", SCENES[1:])
def test_every_scene_looks_different_from_paper(scene: str) -> None:
    assert np.asarray(render(replace(one(), scene=scene, background=None), 0)).std() > 10


@pytest.mark.parametrize("size_px", [64, 128, 256])
def test_pictures_have_the_size_asked_for(size_px: int) -> None:
    assert render(one(), 0, size_px).size == (size_px, size_px)


@pytest.mark.parametrize("colour", [colour for colour in COLOURS if colour != "white"])
def test_a_ruler_and_a_chart_agree_with_the_scene(colour: str) -> None:
    picture = render(one("circle", colour, x=0.3, y=0.6), 0)
    x, y = centre(foreground(picture))
    assert dominant_colour(picture) == colour
    assert (x, y) == pytest.approx((0.3, 0.6), abs=0.02)
    assert roundness(foreground(picture)) > 0.95


@pytest.mark.parametrize("kind", ["star", "triangle", "car", "pine"])
def test_what_is_not_round_measures_less_round(kind: str) -> None:
    assert roundness(foreground(render(one(kind), 0))) < 0.85


def test_training_never_sees_a_held_out_pair(rng: random.Random) -> None:
    assert not any(holds_out(training_scene(rng, Diet())) for _ in range(2000))


@pytest.mark.parametrize("alone", [True, False])
def test_one_pair_in_forty_is_held_out_alone_and_another_in_company(alone: bool) -> None:
    pairs = [(kind, colour) for kind in THINGS for colour in COLOURS]
    held = {pair for pair in pairs if is_held_out(*pair, alone=alone)}
    assert 0.015 < len(held) / len(pairs) < 0.04
    assert not any(is_held_out(*pair, alone=not alone) for pair in held)


@pytest.mark.parametrize("category", PHRASINGS)
def test_held_out_prompts_are_held_out_and_repeatable(category: str) -> None:
    cases = held_out_cases(category, 8)
    assert cases == held_out_cases(category, 8)
    assert category in UNCOLOURED or all(holds_out(case.scene) for case in cases)


def test_captions_name_what_is_there(rng: random.Random) -> None:
    for scene in [sample_scene(rng, Diet()) for _ in range(500)]:
        text = caption(rng, scene)
        assert all(any(name in text for name in (*names(t.kind), f"{t.kind[:-1]}", "snowmen")) for t in scene.things)
        assert not scene.count or any(word in text.split() for word in NUMBERS[scene.count])


def test_a_place_or_relation_in_a_caption_is_true(rng: random.Random) -> None:
    for scene in [sample_scene(rng, Diet()) for _ in range(2000)]:
        if scene.relation in ("left of", "right of"):
            assert (scene.things[0].x < scene.things[1].x) == (scene.relation == "left of")
        if scene.relation in ("above", "below"):
            assert (scene.things[0].y < scene.things[1].y) == (scene.relation == "above")
        if scene.place == "left":
            assert scene.things[0].x < 0.4


def test_a_list_is_read_from_left_to_right(rng: random.Random) -> None:
    cat, house = Thing(kind="cat", colour="red", x=0.75), Thing(kind="house", colour="blue", x=0.25)
    for relation in (None, "next to"):
        text = caption(
            rng, Scene(style="flat", scene="plain", background="white", things=(cat, house), relation=relation)
        )
        assert max(text.find("house"), text.find("cottage")) < max(text.find("cat"), text.find("kitten"))


def test_an_unusual_colour_is_always_named(rng: random.Random) -> None:
    texts = [caption(rng, one("cat", "teal")) for _ in range(200)]
    assert all("teal" in text or "turquoise" in text for text in texts)


def test_the_usual_colour_is_often_left_out(rng: random.Random) -> None:
    texts = [caption(rng, one("cat", "orange")) for _ in range(400)]
    assert 0.7 < sum("orange" not in text for text in texts) / 400 < 0.9


def test_a_thing_is_usual_in_its_second_colour_where_the_first_would_vanish() -> None:
    white, blue = (replace(one("snowman", "gray"), background=background) for background in ("white", "blue"))
    assert (usual_colour("snowman", white), usual_colour("snowman", blue)) == ("gray", "white")


def test_where_nothing_is_said_a_thing_is_at_home(rng: random.Random) -> None:
    names_of_a_boat = {with_article(name) for name in names("boat")}
    boats = [replace(one("boat", "brown"), scene=scene, background=None) for scene in SCENES[1:]]
    silent = {boat.scene for boat in boats for _ in range(60) if caption(rng, boat) in names_of_a_boat}
    assert silent == {"sea"}


def test_white_is_always_said(rng: random.Random) -> None:
    assert all("white" in caption(rng, one(kind, "purple")) for kind in THINGS for _ in range(20))


def test_everything_has_a_home_where_its_usual_colour_is_seen() -> None:
    assert set(HOME) == set(THINGS)
    assert {place for places in HOME.values() for place in places} <= set(HOMES)
    for kind, (first, _) in HOME.items():
        assert home([Thing(kind=kind, colour=USUAL[kind][0])]) == first, kind


@pytest.mark.parametrize("kind", ["single", "pair", "counting"])
def test_scenes_at_home_hide_nothing_and_need_no_words(rng: random.Random, kind: str) -> None:
    scenes = [sample_scene(rng, Diet(kinds={kind: 1.0}, home_share=1)) for _ in range(200)]
    settled = [scene for scene in scenes if is_at_home(scene)]
    assert len(settled) >= 190
    assert not any(
        thing.colour in hidden_in(replace(scene, style="flat")) for scene in settled for thing in scene.things
    )


def test_company_is_at_home_with_one_of_it_in_any_order() -> None:
    cat, boat, fish = (Thing(kind=kind, colour=USUAL[kind][0]) for kind in ("cat", "boat", "fish"))
    assert home([cat, boat]) == home([boat, cat]) == "sea"
    assert home([cat, boat, fish]) == "underwater"
    assert home([replace(cat, colour="green")]) == "snow"


def test_what_only_an_adapter_knows_can_be_described(rng: random.Random) -> None:
    assert "cactus" in caption(rng, one("cactus", "green"))


def test_a_corner_is_told_with_what_is_beside_it(rng: random.Random) -> None:
    for _ in range(50):
        scene = training_scene(rng, Diet(kinds={"corner": 1.0}, plain_share=1))
        first, second = scene.things
        text = caption(rng, scene)
        assert all(any(name in text for name in names(thing.kind)) for thing in scene.things)
        assert any(place in text for place in PLACES[scene.place or ""])
        assert first.radius < second.radius
        assert abs(first.x - 0.5) > 0.15
        assert abs(first.y - 0.5) > 0.15


def test_usual_colours_are_never_held_out() -> None:
    assert set(USUAL) == set(THINGS)
    usual = [(kind, colour) for kind, colours in USUAL.items() for colour in colours]
    assert not any(is_held_out(*pair, alone=alone) for pair in usual for alone in (True, False))


def test_things_stay_inside_the_picture(rng: random.Random) -> None:
    things = [thing for _ in range(500) for thing in sample_scene(rng, Diet()).things]
    assert all(t.x - t.radius > -0.05 and t.x + t.radius < 1.05 for t in things)
    assert all(t.y - t.radius > -0.05 and t.y + t.radius < 1.05 for t in things)


def test_a_thing_alone_is_drawn_larger_than_in_company(rng: random.Random) -> None:
    def radii(kind: str) -> list[float]:
        scenes = [sample_scene(rng, Diet(kinds={kind: 1.0}, plain_share=1)) for _ in range(200)]
        return [thing.radius for scene in scenes if not scene.place for thing in scene.things if thing.size == "mid"]

    assert min(radii("single")) > max(radii("pair"))


def test_a_hard_negative_differs_from_its_scene(rng: random.Random) -> None:
    for _ in range(300):
        scene = sample_scene(rng, Diet())
        other, what = altered(rng, scene)
        assert other != scene or what == "swap"


def test_a_scene_survives_json(rng: random.Random) -> None:
    scene = sample_scene(rng, Diet())
    assert Scene.from_dict(asdict(scene)) == scene
