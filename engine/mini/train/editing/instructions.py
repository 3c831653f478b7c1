"""From a change to what a person says: many ways for each. Knows words, not pixels."""

import random
from collections.abc import Sequence

from engine.mini.train.captions import with_article
from engine.mini.train.editing.changes import Change
from engine.mini.train.scenes import Scene, Thing
from engine.mini.words import COLOURS, NUMBERS, PLACES, SCENE_PHRASES, STYLE_PHRASES, names, plural

COLOURED = 0.2  # of the instructions name the colour that a thing has: "the red car"
PLEASE = 0.05

COLOUR = ("make {} {}", "make {} {}", "turn {} {}", "paint {} {}", "color {} {}", "change the color of {} to {}")
KIND = ("turn {} into {}", "turn {} into {}", "replace {} with {}", "change {} to {}", "make {} {}", "swap {} for {}")
COUNT = ("make it {0} {1}", "{0} {1}", "{0} {1} instead", "show {0} {1}", "change it to {0} {1}")
PLACE = ("move {} {}", "move {} {}", "put {} {}", "place {} {}")
SIZES = {
    "bigger": ("make {} bigger", "make {} bigger", "make {} larger", "make {} big", "a bigger {bare}", "enlarge {}"),
    "smaller": ("make {} smaller", "make {} smaller", "make {} small", "make {} tiny", "a smaller {bare}", "shrink {}"),
}
BACKDROP = (
    "make the background {}",
    "make the background {}",
    "{} background",
    "on a {} background",
    "change the background to {}",
)
SCENE = ("make it {}", "put it {}", "{}", "change the scene to {}", "now {}")
STYLE = ("as {}", "as {}", "make it {}", "turn it into {}", "in {} style", "{}")
ADD = ("add {}", "add {}", "add {}", "put {}", "with {}", "draw {}")
REMOVE = ("remove {}", "remove {}", "remove {}", "delete {}", "take {} away", "without {}", "get rid of {}", "erase {}")
SWAP = ("swap them", "swap them", "switch them", "swap {} and {}", "swap {} with {}", "exchange {} and {}")


def instruction(rng: random.Random, change: Change, before: Scene) -> str:
    """Tell somebody who sees the picture what to change in it."""
    text = _SAID[change.kind](rng, change, before)
    return f"please {text}" if rng.random() < PLEASE else text


def _name(rng: random.Random, word: str) -> str:
    return rng.choice(names(word))


def _bare(rng: random.Random, thing: Thing) -> str:
    colour = _name(rng, thing.colour) + " " if rng.random() < COLOURED else ""
    return colour + _name(rng, thing.kind)


def _the(rng: random.Random, change: Change, before: Scene) -> str:
    """Name what a change is about: "it" where there is one thing alone."""
    if change.subject is None:
        thing = before.things[0]
        return "them" if rng.random() < 0.2 else "the " + plural(_name(rng, thing.kind))
    if len(before.things) == 1 and rng.random() < 0.25:
        return "it"
    return "the " + _bare(rng, before.things[change.subject])


def _colour(rng: random.Random, change: Change, before: Scene) -> str:
    return rng.choice(COLOUR).format(_the(rng, change, before), _name(rng, change.value))


def _kind(rng: random.Random, change: Change, before: Scene) -> str:
    new = _name(rng, change.value)
    what = plural(new) if change.subject is None else with_article(new)
    return rng.choice(KIND).format(_the(rng, change, before), what)


def _count(rng: random.Random, change: Change, before: Scene) -> str:
    number = rng.choice(NUMBERS[int(change.value)])
    return rng.choice(COUNT).format(number, plural(_name(rng, before.things[0].kind)))


def _place(rng: random.Random, change: Change, before: Scene) -> str:
    where = rng.choice(PLACES[change.value])
    if where.startswith(("on ", "in ", "at ")) and rng.random() < 0.5:
        where = "to" + where[2:]
    return rng.choice(PLACE).format(_the(rng, change, before), where)


def _size(rng: random.Random, change: Change, before: Scene) -> str:
    assert change.subject is not None
    way = rng.choice(SIZES[change.value])
    return way.format(_the(rng, change, before), bare=_bare(rng, before.things[change.subject]))


def _backdrop(rng: random.Random, change: Change, _: Scene) -> str:
    if change.value in COLOURS:
        return rng.choice(BACKDROP).format(_name(rng, change.value)).replace(" a orange", " an orange")
    phrase = change.value if rng.random() < 0.4 else rng.choice(SCENE_PHRASES[change.value])
    return rng.choice(SCENE).format(phrase)


def _style(rng: random.Random, change: Change, _: Scene) -> str:
    return rng.choice(STYLE).format(rng.choice(STYLE_PHRASES[change.value]))


def _add(rng: random.Random, change: Change, _: Scene) -> str:
    colour = _name(rng, change.colour) + " " if change.colour else ""
    where = " " + rng.choice(PLACES[change.place]) if change.place else ""
    return rng.choice(ADD).format(with_article(colour + _name(rng, change.value)) + where)


def _remove(rng: random.Random, change: Change, before: Scene) -> str:
    return rng.choice(REMOVE).format(_the(rng, change, before))


def _swap(rng: random.Random, _: Change, before: Scene) -> str:
    both: Sequence[Thing] = rng.sample(before.things, 2)
    return rng.choice(SWAP).format(*("the " + _bare(rng, thing) for thing in both))


_SAID = {
    **{"colour": _colour, "kind": _kind, "count": _count, "place": _place, "size": _size},
    **{"backdrop": _backdrop, "style": _style, "add": _add, "remove": _remove, "swap": _swap},
}
