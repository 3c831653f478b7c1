"""Changes of a scene, as data: ten kinds, each of which leaves what it doesn't name as it is. Knows no words or pixels.

What an instruction leaves open has one answer, as in captions: a thing that is added has its usual colour and goes to
the first free place, a thing that becomes another keeps its colour, size and place.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.mini.train.scenes import (
    CORNER_RADIUS,
    FLIES,
    FLOATING_SCENES,
    PLACE_AT,
    Diet,
    Scene,
    Thing,
    counted,
    hidden_in,
    holds_out,
    sample_scene,
    usual_colour,
)
from engine.mini.words import COLOURS, SCENES, STYLES, THINGS

DIET = Diet(
    kinds={"single": 0.35, "pair": 0.4, "trio": 0.05, "counting": 0.1, "corner": 0.1},
    styles={"flat": 0.6} | dict.fromkeys(STYLES[1:], 0.1),
    plain_share=0.5,
)
TRAINED = replace(DIET, styles={"flat": 0.36} | dict.fromkeys(STYLES[1:], 0.16))  # styles are learned last
FREE = ("top right", "top left", "bottom right", "bottom left", "right", "left")  # where a new thing goes, if free
ADDED_RADIUS = sum(CORNER_RADIUS) / 2
GROUND = 0.89  # where things stand in a landscape
STEP = 1.4  # from one size to the next
SMALLEST, LARGEST = 0.09, 0.42
APART = 0.85  # of the sum of two radii: how near centres may be
GAP = 0.03  # of the picture: what is left of it around a thing


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to change.

    Attributes:
        kind: a key of `KINDS`.
        subject: index of the thing it is about; None for all of them, or for none.
        value: the new colour, kind, count, place, backdrop, style; "bigger" or "smaller"; of what is added, its kind.
        colour: of what is added, if named.
        place: of what is added, if named.
    """

    kind: str
    subject: int | None = None
    value: str = ""
    colour: str | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A scene in which each thing has a number of its own, by which it keeps its looks from picture to picture."""

    scene: Scene
    numbers: tuple[int, ...] = field(default=())

    @classmethod
    def of(cls, scene: Scene) -> "View":
        """Number a scene's things; how they stand to each other is forgotten."""
        return cls(scene=replace(scene, relation=None, place=None), numbers=tuple(range(len(scene.things))))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "View":
        """Read what `dataclasses.asdict` wrote."""
        return cls(scene=Scene.from_dict(data["scene"]), numbers=tuple(data["numbers"]))


Made = tuple[Change, View]


def base_view(rng: random.Random, diet: Diet = DIET) -> View:
    """Sample a scene to change."""
    while (scene := sample_scene(rng, diet)).relation == "on":
        pass
    return View.of(scene)


def made(rng: random.Random, kind: str, view: View) -> Made | None:
    """Make a change of a kind, or None where the scene, or chance, allows none; everything stays visible."""
    change = KINDS[kind](rng, view)
    if change is None:
        return None
    after = changed(view, change)
    hidden = hidden_in(after.scene)
    return None if any(thing.colour in hidden for thing in after.scene.things) else (change, after)


def unseen(before: View, after: View) -> bool:
    """Tell whether training never shows one of the two scenes."""
    return holds_out(before.scene) or holds_out(after.scene)


def undone(change: Change, before: Scene) -> Change | None:
    """Return the change that leads back, where words can say it exactly."""
    things = before.things
    subject = things[change.subject] if change.subject is not None else things[0] if things else None
    if change.kind in ("colour", "kind"):
        assert subject is not None
        return replace(change, value=getattr(subject, change.kind))
    if change.kind == "size":
        return replace(change, value="smaller" if change.value == "bigger" else "bigger")
    if change.kind == "backdrop":
        return replace(change, value=before.background or before.scene)
    if change.kind == "style":
        return replace(change, value=before.style)
    if change.kind == "add":
        return Change(kind="remove", subject=len(things))
    return change if change.kind == "swap" else None


def changed(view: View, change: Change) -> View:
    """Return the scene after a change."""
    scene, things = view.scene, view.scene.things
    if change.kind == "backdrop":
        plain = change.value in COLOURS
        colour = change.value if plain else None
        return replace(view, scene=replace(scene, scene="plain" if plain else change.value, background=colour))
    if change.kind == "style":
        return replace(view, scene=replace(scene, style=change.value))
    if change.kind == "remove":
        left = [i for i in range(len(things)) if i != change.subject]
        kept = tuple(things[i] for i in left)
        return View(scene=replace(scene, things=kept), numbers=tuple(view.numbers[i] for i in left))
    if change.kind == "add":
        place = change.place or free_place(scene, change.value) or FREE[0]
        new = _put(_new(scene, change.value, change.colour), place)
        return View(scene=replace(scene, things=(*things, new)), numbers=(*view.numbers, 1 + max(view.numbers)))
    if change.kind == "count":
        few = counted(random.Random(0), scene, things[0], int(change.value))
        return View(scene=few, numbers=tuple(range(len(few.things))))
    if change.kind == "swap":
        return replace(view, scene=replace(scene, things=_swapped(scene)))
    chosen = range(len(things)) if change.subject is None else (change.subject,)
    fresh = [_altered(scene, thing, change) if i in chosen else thing for i, thing in enumerate(things)]
    return replace(view, scene=replace(scene, things=tuple(fresh)))


def free_place(scene: Scene, kind: str) -> str | None:
    """Return the first place where a new thing fits and belongs, None in a full picture."""
    new = _new(scene, kind)
    return next((place for place in _places(scene.scene, kind) if _fits(scene, _put(new, place))), None)


def _places(scene: str, kind: str) -> Sequence[str]:
    """Return where a new thing belongs, the first choice first: to the sky, or to the ground."""
    if scene in FLOATING_SCENES:
        return FREE
    return FREE[:2] if kind in FLIES else FREE[4:]


def _altered(scene: Scene, thing: Thing, change: Change) -> Thing:
    """Return a thing with another colour, kind, place or size."""
    if change.kind == "place":
        return _put(thing, change.value)
    if change.kind == "size":
        return _scaled(thing, STEP if change.value == "bigger" else 1 / STEP, scene.scene)
    return replace(thing, colour=change.value) if change.kind == "colour" else replace(thing, kind=change.value)


def _new(scene: Scene, kind: str, colour: str | None = None) -> Thing:
    """Return a thing to add, at the height where it belongs."""
    stands = scene.scene not in FLOATING_SCENES and kind not in FLIES
    level = GROUND - ADDED_RADIUS if stands else 0.5 if scene.scene in FLOATING_SCENES else 0.27
    colour = colour or usual_colour(kind, scene)
    assert colour is not None, "a thing of this world"
    return Thing(kind=kind, colour=colour, radius=ADDED_RADIUS, y=level)


def _put(thing: Thing, place: str) -> Thing:
    """Return a thing at a place; "left" leaves its height as it is, "top" how far right it is."""
    x, y = PLACE_AT[place]
    return replace(thing, x=_inside(x or thing.x, thing.radius), y=_inside(y or thing.y, thing.radius))


def _scaled(thing: Thing, factor: float, scene: str) -> Thing:
    """Return a larger or smaller thing; what stands in a landscape goes on standing."""
    radius = thing.radius * factor
    stands = scene not in FLOATING_SCENES and thing.kind not in FLIES
    return replace(thing, radius=radius, y=thing.y + (thing.radius - radius if stands else 0.0))


def _swapped(scene: Scene) -> tuple[Thing, ...]:
    """Exchange two things' places: their middles, or where they stand."""
    first, second = scene.things
    if scene.scene in FLOATING_SCENES:
        return replace(first, x=second.x, y=second.y), replace(second, x=first.x, y=first.y)
    feet = first.y + first.radius, second.y + second.radius
    return (
        replace(first, x=second.x, y=feet[1] - first.radius),
        replace(second, x=first.x, y=feet[0] - second.radius),
    )


def _inside(value: float, radius: float) -> float:
    return min(max(value, radius + GAP), 1 - GAP - radius)


def _fits(scene: Scene, thing: Thing, instead: int | None = None) -> bool:
    """Tell whether a thing is in the picture and clear of all others but one."""
    inside = all(thing.radius + GAP - 1e-6 <= at <= 1 - GAP - thing.radius + 1e-6 for at in (thing.x, thing.y))
    others = [other for i, other in enumerate(scene.things) if i != instead]
    return inside and all(
        (thing.x - other.x) ** 2 + (thing.y - other.y) ** 2 >= (APART * (thing.radius + other.radius)) ** 2
        for other in others
    )


def _other(rng: random.Random, of: Sequence[str], than: str | None) -> str:
    return rng.choice([each for each in of if each != than])


def _subject(rng: random.Random, scene: Scene) -> int | None:
    return None if scene.count else rng.randrange(len(scene.things))


def _colour(rng: random.Random, view: View) -> Change:
    subject = _subject(rng, view.scene)
    return Change(
        kind="colour", subject=subject, value=_other(rng, tuple(COLOURS), view.scene.things[subject or 0].colour)
    )


def _kind(rng: random.Random, view: View) -> Change | None:
    subject, present = _subject(rng, view.scene), {thing.kind for thing in view.scene.things}
    return Change(kind="kind", subject=subject, value=rng.choice([kind for kind in THINGS if kind not in present]))


def _count(rng: random.Random, view: View) -> Change | None:
    if not view.scene.count and len(view.scene.things) != 1:
        return None
    return Change(kind="count", value=_other(rng, ("2", "3", "4"), str(view.scene.count)))


def _place(rng: random.Random, view: View) -> Change | None:
    if view.scene.count:
        return None
    subject = rng.randrange(len(view.scene.things))
    places = list(PLACE_AT) if view.scene.scene in FLOATING_SCENES else ["left", "right"]
    thing = view.scene.things[subject]
    value = rng.choice(places)
    there = _put(thing, value)
    far = abs(there.x - thing.x) + abs(there.y - thing.y) > 0.15
    return Change(kind="place", subject=subject, value=value) if far and _fits(view.scene, there, subject) else None


def _size(rng: random.Random, view: View) -> Change | None:
    if view.scene.count:
        return None
    subject, value = rng.randrange(len(view.scene.things)), rng.choice(("bigger", "smaller"))
    change = Change(kind="size", subject=subject, value=value)
    grown = _altered(view.scene, view.scene.things[subject], change)
    possible = SMALLEST <= grown.radius <= LARGEST and _fits(view.scene, grown, subject)
    return change if possible else None


def _backdrop(rng: random.Random, view: View) -> Change:
    plain = rng.random() < 0.4
    now = view.scene.background or view.scene.scene
    return Change(kind="backdrop", value=_other(rng, tuple(COLOURS) if plain else SCENES[1:], now))


def _style(rng: random.Random, view: View) -> Change:
    return Change(kind="style", value=_other(rng, STYLES, view.scene.style))


def _add(rng: random.Random, view: View) -> Change | None:
    scene = view.scene
    if scene.count or len(scene.things) > 2:
        return None
    kind = rng.choice([kind for kind in THINGS if kind not in {thing.kind for thing in scene.things}])
    colour = rng.choice([*COLOURS, *[None] * len(COLOURS)])
    place = rng.choice(FREE) if rng.random() < 0.6 else None
    where = place or free_place(scene, kind)
    if where is None or not _fits(scene, _put(_new(scene, kind), where)):
        return None
    return Change(kind="add", value=kind, colour=colour, place=place)


def _remove(rng: random.Random, view: View) -> Change | None:
    if view.scene.count or len(view.scene.things) < 2:
        return None
    return Change(kind="remove", subject=rng.randrange(len(view.scene.things)))


def _swap(_: random.Random, view: View) -> Change | None:
    if view.scene.count or len(view.scene.things) != 2:
        return None
    scene = replace(view.scene, things=_swapped(view.scene))
    return Change(kind="swap") if all(_fits(scene, thing, i) for i, thing in enumerate(scene.things)) else None


KINDS: dict[str, Callable[[random.Random, View], Change | None]] = {
    **{"colour": _colour, "kind": _kind, "count": _count, "place": _place, "size": _size},
    **{"backdrop": _backdrop, "style": _style, "add": _add, "remove": _remove, "swap": _swap},
}
