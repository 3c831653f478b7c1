"""From a scene to a sentence: synonyms, free word order, terse and long forms. Knows words, not pixels."""

import random

from engine.mini.train.scenes import Scene, Thing, is_at_home, usual_colour
from engine.mini.words import (
    IDLE,
    NUMBERS,
    OPENINGS,
    PLACES,
    RELATIONS,
    SCENE_PHRASES,
    SIZES,
    STYLE_PHRASES,
    names,
    plural,
)

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
TERSE = 0.8  # of the captions name no usual colour: people write "a cat and a house", too
HOMELY = 0.6  # of the captions of things at home do not say where that is
PLACED_FIRST = 0.5  # of the captions of a thing with a place name it before its company
_PREPOSITIONS = frozenset("at in on under with deep".split())  # noqa: SIM905


def caption(rng: random.Random, scene: Scene) -> str:
    """Describe a scene in one of many ways. What it omits is a default: home, flat, the usual colour."""
    text = _counted(rng, scene) if scene.count else _listed(rng, scene)
    if rng.random() < 0.12:
        text = text.removeprefix("a ").removeprefix("an ")
    return _decorated(rng, _styled(rng, scene.style, _set_in(rng, scene, text)))


def with_article(name: str) -> str:
    """Put "a" or "an" in front."""
    return ("an " if name[0] in "aeiou" else "a ") + name


def _name(rng: random.Random, word: str) -> str:
    return rng.choice(names(word))


def _phrase(rng: random.Random, thing: Thing, *, coloured: bool) -> str:
    parts = []
    if thing.size in SIZES and rng.random() < 0.75:
        parts.append(rng.choice(SIZES[thing.size]))
    if coloured:
        parts.append(_name(rng, thing.colour))
    return " ".join([*parts, _name(rng, thing.kind)])


def _must_colour(scene: Scene, thing: Thing) -> bool:
    return thing.colour != usual_colour(thing.kind, scene)


def _counted(rng: random.Random, scene: Scene) -> str:
    thing = scene.things[0]
    colour = _name(rng, thing.colour) + " " if _must_colour(scene, thing) or rng.random() > TERSE else ""
    return f"{rng.choice(NUMBERS[scene.count])} {colour}{plural(_name(rng, thing.kind))}"


def _listed(rng: random.Random, scene: Scene) -> str:
    ordered = scene.place or scene.relation not in (None, "next to")
    things = scene.things if ordered else sorted(scene.things, key=lambda thing: thing.x)
    wordy = rng.random() > TERSE
    phrases = [with_article(_phrase(rng, thing, coloured=wordy or _must_colour(scene, thing))) for thing in things]
    if scene.place:
        return _placed(rng, scene.place, phrases)
    if scene.relation:
        return _related(rng, scene.relation, phrases[0], phrases[1])
    return " and ".join(filter(None, [", ".join(phrases[:-1]), phrases[-1]]))


def _placed(rng: random.Random, place: str, phrases: list[str]) -> str:
    """Say where the first thing is, before or after its company."""
    first = f"{phrases[0]} {rng.choice(PLACES[place])}"
    return " and ".join([first, *phrases[1:]] if rng.random() < PLACED_FIRST else [*phrases[1:], first])


def _related(rng: random.Random, relation: str, first: str, second: str) -> str:
    if relation in OPPOSITE and rng.random() < 0.4:
        relation, first, second = OPPOSITE[relation], second, first
    return f"{first} {rng.choice(RELATIONS[relation])} {second}"


def _set_in(rng: random.Random, scene: Scene, text: str) -> str:
    if is_at_home(scene) and rng.random() < HOMELY:
        return text
    if scene.background:
        backdrop = (colour := _name(rng, scene.background)) + " background"
        return text + rng.choice([" on " + with_article(backdrop), ", " + backdrop, " on " + colour])
    phrase = rng.choice(SCENE_PHRASES[scene.scene])
    if rng.random() < 0.12:
        return f"{phrase}, {text}"
    return text + (" " if phrase.split()[0] in _PREPOSITIONS else ", ") + phrase


def _styled(rng: random.Random, style: str, text: str) -> str:
    if style == "flat" and rng.random() < 0.8:
        return text
    name, where = rng.choice(STYLE_PHRASES[style]), rng.random()
    if where < 0.55:
        return f"{text}, {name}" + (" style" if rng.random() < 0.2 else "")
    if where < 0.8 or text.split()[0] in _PREPOSITIONS:
        return f"{name}, {text}"
    return f"{name} of {text}"


def _decorated(rng: random.Random, text: str) -> str:
    chance = rng.random()
    if chance < 0.07:
        return f"{text}, {' '.join(rng.sample(IDLE, rng.randint(1, 3)))}"
    return rng.choice(OPENINGS) + text if chance < 0.1 else text
