"""Held-out prompts in GenEval's categories (Ghosh et al. 2023, arXiv:2310.11513), plus scene, home and style.

A prompt that names colours contains a thing in a colour that training never showed alone, or never in company, as the
prompt does.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.mini.train.captions import with_article
from engine.mini.train.scenes import Diet, Scene, Thing, holds_out, sample_scene, usual_colour
from engine.mini.words import NUMBERS, SCENE_PHRASES, STYLE_PHRASES, plural

SINGLE, PAIR, COUNTING = ({kind: 1.0} for kind in ("single", "pair", "counting"))
FLAT = {"flat": 1.0}
ON_WHITE = " on a white background"  # what a prompt leaves open has a home, which is a question of its own
STYLED = {style: 1.0 for style in STYLE_PHRASES if style != "flat"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A prompt and a scene that would fulfil it."""

    category: str
    prompt: str
    scene: Scene


def _name(thing: Thing) -> str:
    return with_article(thing.kind)


def _coloured(thing: Thing) -> str:
    return with_article(f"{thing.colour} {thing.kind}")


def _counted(scene: Scene) -> str:
    return f"{NUMBERS[scene.count][0]} {scene.things[0].colour} {plural(scene.things[0].kind)}"


def _alone(scene: Scene) -> str:
    return _coloured(scene.things[0])


def _set(scene: Scene) -> str:
    return f"{_alone(scene)}, {SCENE_PHRASES[scene.scene][0]}"


def _manner(scene: Scene) -> str:
    return "" if scene.style == "flat" else f", {STYLE_PHRASES[scene.style][0]}"


PHRASINGS: dict[str, tuple[Diet, Callable[[Scene], str]]] = {
    "single object": (Diet(kinds=SINGLE, styles=FLAT, plain_share=1), lambda s: _name(s.things[0])),
    "two objects": (Diet(kinds=PAIR, styles=FLAT, plain_share=1), lambda s: " and ".join(map(_name, s.things))),
    "counting": (Diet(kinds=COUNTING, styles=FLAT, plain_share=1), _counted),
    "colours": (Diet(kinds=SINGLE, styles=FLAT, plain_share=1), _alone),
    "position": (
        Diet(kinds=PAIR, styles=FLAT, plain_share=1),
        lambda s: f"{_name(s.things[0])} {s.relation} {_name(s.things[1])}",
    ),
    "attribution": (Diet(kinds=PAIR, styles=FLAT, plain_share=1), lambda s: " and ".join(map(_coloured, s.things))),
    "scene": (Diet(kinds=SINGLE, styles=FLAT, plain_share=0), _set),
    "home": (Diet(kinds=SINGLE, styles=FLAT, home_share=1), lambda s: _name(s.things[0])),
    "style": (Diet(kinds=SINGLE, styles=STYLED, plain_share=1), _alone),
}
UNCOLOURED = frozenset({"single object", "two objects", "position", "home"})


def _fits(category: str, scene: Scene) -> bool:
    colours = {thing.colour for thing in scene.things}
    if "white" in colours or scene.place:
        return False
    if category == "home":
        return all(thing.colour == usual_colour(thing.kind, scene) for thing in scene.things)
    if category == "position":
        return scene.relation in ("left of", "right of", "above", "below")
    if category in ("two objects", "attribution") and (scene.relation == "on" or len(colours) < 2):
        return False
    return category in UNCOLOURED or holds_out(scene)


def held_out_cases(category: str, count: int, seed: int = 0) -> list[Case]:
    """Make a category's prompts; the same numbers give the same prompts."""
    rng = random.Random(f"{category} {seed}")
    diet, phrase = PHRASINGS[category]
    cases: list[Case] = []
    while len(cases) < count:
        scene = sample_scene(rng, diet)
        if scene.background and category != "home":
            scene = replace(scene, background="white")
        if _fits(category, scene):
            prompt = phrase(scene) + (ON_WHITE if scene.background == "white" else "") + _manner(scene)
            cases.append(Case(category=category, prompt=prompt, scene=scene))
    return cases
