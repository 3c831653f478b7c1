"""What is in a picture, as data: sampling scenes of the toy world. Knows neither pixels nor grammar.

Layouts are constructed, not rejected: counted things stand in rows, triangles and squares, pairs in the relation that
the caption will name. A small model learns regular compositions with far fewer samples than scattered ones, so what a
caption leaves open has one answer: a thing its usual colour, "a cat and a house" the cat on the left.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from engine.mini.train.usual import HOME, HOMES, INVISIBLE, USUAL
from engine.mini.words import COLOURS, SCENES, THINGS

Kind = Literal["single", "pair", "trio", "counting", "corner"]
Place = tuple[float | None, float | None]

PLACE_AT: dict[str, Place] = {
    "left": (0.22, None),
    "right": (0.78, None),
    "top": (None, 0.24),
    "bottom": (None, 0.76),
    "center": (0.5, 0.5),
    "top left": (0.24, 0.24),
    "top right": (0.76, 0.24),
    "bottom left": (0.24, 0.76),
    "bottom right": (0.76, 0.76),
}
HOME_TRIES = 300
HARD = (  # outlines that take longest to learn
    *("sun", "flower", "mushroom", "car", "robot", "star", "boat", "fish", "cat", "umbrella", "pine", "bird"),
)
HARD_SHARE = 0.3  # of the things are one of those
FLIES = frozenset(
    "moon sun cloud star bird balloon butterfly rocket heart circle diamond ghost".split()  # noqa: SIM905
)
CARRIES = frozenset("house tree castle car square mushroom circle boat pine robot".split())  # noqa: SIM905
FLOATING_SCENES = ("plain", "space", "underwater")
USUAL_SHARE = 0.4  # of the scenes show everything in its usual colour
SINGLE_RADIUS = {"small": (0.13, 0.16), "mid": (0.29, 0.35), "big": (0.37, 0.43)}  # alone: room for a face
CENTRE_RADIUS, CORNER_RADIUS = (0.2, 0.25), (0.12, 0.145)  # in company
TRIO_RADIUS = CORNER_RADIUS
PAIR_RADIUS = (0.195, 0.23)
ROWS: dict[int, tuple[float, ...]] = {2: (0.27, 0.73), 3: (0.18, 0.5, 0.82), 4: (0.14, 0.38, 0.62, 0.86)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One thing; x, y and radius are fractions of the picture, y grows downwards."""

    kind: str
    colour: str
    size: str = "mid"
    x: float = 0.5
    y: float = 0.5
    radius: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A whole picture.

    Attributes:
        background: colour of a plain scene, else None.
        relation: how the first thing stands to the second, a key of `words.RELATIONS`.
        place: where the first thing is, a key of `words.PLACES`.
        count: how many equal things there are, 0 if they are not counted.
    """

    style: str
    scene: str
    things: tuple[Thing, ...]
    background: str | None = None
    relation: str | None = None
    place: str | None = None
    count: int = 0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Scene":
        """Read what `dataclasses.asdict` wrote."""
        return cls(**{**data, "things": tuple(Thing(**thing) for thing in data["things"])})


def _weights(**chosen: float) -> dict[str, float]:
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Diet:
    """How often each sort of scene is sampled: the curriculum is a change of diet.

    Attributes:
        home_share: how many scenes are set where their things are at home; captions may then leave it out.
        plain_share: how many of the others have nothing but a plain backdrop.
        white: how much oftener than another colour a plain backdrop is white.
    """

    kinds: Mapping[str, float] = field(
        default_factory=lambda: _weights(single=0.46, pair=0.32, trio=0.04, counting=0.18)
    )
    styles: Mapping[str, float] = field(
        default_factory=lambda: _weights(flat=0.6, outline=0.1, watercolor=0.1, pixel=0.1, neon=0.1)
    )
    home_share: float = 0.0
    plain_share: float = 0.5
    white: float = 5.0


def is_held_out(kind: str, colour: str, *, alone: bool) -> bool:
    """Tell whether training never shows a thing in this colour alone, or never in company, to measure composition.

    Of the pairs of thing and colour, about one in forty is only shown alone, and another one in forty only in company.
    """
    row, column = THINGS.index(kind), list(COLOURS).index(colour)
    return (row * 7 + column * 3) % 20 == 0 and alone == bool(column % 2)


def holds_out(scene: Scene) -> bool:
    """Tell whether a scene shows a thing as training never does."""
    alone = len(scene.things) == 1
    return any(is_held_out(thing.kind, thing.colour, alone=alone) for thing in scene.things)


def training_scene(rng: random.Random, diet: Diet) -> Scene:
    """Sample a scene without anything held out."""
    while holds_out(scene := sample_scene(rng, diet)):
        pass
    return scene


def sample_scene(rng: random.Random, diet: Diet) -> Scene:
    """Sample any scene of the world."""
    style = _weighted(rng, diet.styles)
    if rng.random() < diet.home_share:
        return _at_home(rng, style, _weighted(rng, diet.kinds))
    scene = "plain" if rng.random() < diet.plain_share else rng.choice(SCENES[1:])
    background = _background(rng, diet.white) if scene == "plain" else None
    empty = Scene(style=style, scene=scene, background=background, things=())
    return _LAYOUTS[_weighted(rng, diet.kinds)](rng, empty)


def _at_home(rng: random.Random, style: str, kind: str) -> Scene:
    """Sample a scene that is set where its things are at home."""
    place = rng.choices(HOME[rng.choice(_pool(rng, "plain"))], (0.85, 0.15))[0]
    plain = place in COLOURS
    empty = Scene(style=style, scene="plain" if plain else place, background=place if plain else None, things=())
    for _ in range(HOME_TRIES):
        if is_at_home(scene := _LAYOUTS[kind](rng, empty)):
            break
    return scene


def is_at_home(scene: Scene) -> bool:
    """Tell whether a scene is set where one expects its things, so that nobody needs to say it."""
    return (scene.background or scene.scene) == home(scene.things)


def home(things: Sequence[Thing]) -> str | None:
    """Return the scene, or the colour of a plain backdrop, in which things are unless a caption says otherwise."""
    colours = {thing.colour for thing in things}
    known = [HOME[thing.kind] for thing in things if thing.kind in HOME]
    for choice in (0, 1):
        for place in HOMES:
            if place in {places[choice] for places in known} and not colours & {place, *INVISIBLE.get(place, ())}:
                return place
    return None


def _weighted(rng: random.Random, weights: Mapping[str, float]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _background(rng: random.Random, white: float) -> str:
    return rng.choices(list(COLOURS), [white if c == "white" else 1.5 if c == "black" else 1 for c in COLOURS])[0]


def hidden_in(scene: Scene) -> set[str]:
    """Return the colours in which nothing could be seen before this backdrop."""
    hidden = {scene.background} if scene.background else set(INVISIBLE.get(scene.scene, ()))
    if scene.style == "outline" and scene.background in (None, "white"):
        hidden.add("white")
    return hidden


def usual_colour(kind: str, scene: Scene) -> str | None:
    """Return the colour that a thing has unless a caption says otherwise, None for a thing of another world."""
    return _usual(USUAL[kind], hidden_in(scene)) if kind in USUAL else None


def _usual(colours: tuple[str, str], hidden: set[str]) -> str:
    first, second = colours
    return second if first in hidden else first


def _pick_things(rng: random.Random, scene: Scene, count: int) -> list[Thing]:
    kinds, hidden = rng.sample(_pool(rng, scene.scene), count), hidden_in(scene)
    if rng.random() < USUAL_SHARE:
        return [Thing(kind=kind, colour=_usual(USUAL[kind], hidden)) for kind in kinds]
    things: list[Thing] = []
    for kind in kinds:
        colour = rng.choice([c for c in COLOURS if c not in hidden])
        things.append(Thing(kind=kind, colour=colour))
        if rng.random() < 0.8:  # equal colours are allowed, but teach nothing about binding
            hidden.add(colour)
    return things


def _pool(rng: random.Random, scene: str) -> Sequence[str]:
    if scene == "sea" and rng.random() < 0.7:
        return ("boat", "fish", *sorted(FLIES - {"ghost"}), "umbrella")
    if scene == "underwater" and rng.random() < 0.7:
        return ("fish", "star", "heart", "boat", "robot", "castle", "circle")
    return HARD if rng.random() < HARD_SHARE else THINGS


def _level(rng: random.Random, scene: str, kind: str, radius: float) -> float:
    """Return a height at which a thing of this kind belongs: on the ground, on the water or in the sky."""
    if scene in FLOATING_SCENES:
        return rng.uniform(0.45, 0.55)
    if kind in FLIES:
        return rng.uniform(radius + 0.05, max(radius + 0.06, 0.5 - 0.6 * radius))
    if scene == "sea":
        return rng.uniform(0.66, 0.8) - 0.5 * radius
    return rng.uniform(0.82, 0.93) - radius


def _inside(value: float, radius: float) -> float:
    return min(max(value, radius + 0.03), 0.97 - radius)


def _single(rng: random.Random, scene: Scene) -> Scene:
    size = rng.choices(("small", "mid", "big"), (0.1, 0.55, 0.35))[0]
    thing = replace(_pick_things(rng, scene, 1)[0], size=size, radius=rng.uniform(*SINGLE_RADIUS[size]))
    reach = 0.07 if scene.scene in FLOATING_SCENES else 0.25
    x, y = rng.triangular(0.5 - reach, 0.5 + reach, 0.5), _level(rng, scene.scene, thing.kind, thing.radius)
    place = _place(rng, scene.scene) if rng.random() < 0.3 else None
    if place:
        thing = replace(thing, radius=min(thing.radius, 0.24))
        want_x, want_y = PLACE_AT[place]
        x = want_x + rng.uniform(-0.03, 0.03) if want_x else rng.uniform(0.42, 0.58)
        y = want_y + rng.uniform(-0.03, 0.03) if want_y else y
    thing = replace(thing, x=_inside(x, thing.radius), y=_inside(y, thing.radius))
    return replace(scene, things=(thing,), place=place)


def _place(rng: random.Random, scene: str) -> str:
    return rng.choice(list(PLACE_AT) if scene in FLOATING_SCENES else ["left", "right"])


def _pair(rng: random.Random, scene: Scene) -> Scene:
    first, second = (replace(t, radius=rng.uniform(*PAIR_RADIUS)) for t in _pick_things(rng, scene, 2))
    if rng.random() < 0.12 and second.kind in CARRIES and first.kind not in ("sun", "cloud", "umbrella"):
        return _stacked(rng, scene, first, second)
    if scene.scene in FLOATING_SCENES:
        upright = rng.random() < 0.45
    else:
        upright = (first.kind in FLIES) != (second.kind in FLIES) and rng.random() < 0.6
    return (_vertical if upright else _horizontal)(rng, scene, first, second)


def _stacked(rng: random.Random, scene: Scene, first: Thing, second: Thing) -> Scene:
    """Put the first thing on top of the second."""
    top = {"cloud": 0.5, "car": 0.5, "square": 0.8, "circle": 0.9}.get(second.kind, 0.95)
    small, large = rng.uniform(0.13, 0.16), rng.uniform(0.2, 0.23)
    x, y = rng.uniform(0.35, 0.65), rng.uniform(0.64, 0.7)
    first = replace(first, radius=small, x=x + rng.uniform(-0.02, 0.02), y=y - large * top - small * 0.92)
    return replace(scene, things=(first, replace(second, radius=large, x=x, y=y)), relation="on")


def _horizontal(rng: random.Random, scene: Scene, first: Thing, second: Thing) -> Scene:
    relation = rng.choices(("left of", "right of", "next to", None), (0.25, 0.25, 0.12, 0.38))[0]
    reach = rng.uniform(0.235, 0.265) * (1 if relation == "right of" else -1)
    levels = [_level(rng, scene.scene, t.kind, t.radius) for t in (first, second)]
    if scene.scene in FLOATING_SCENES:
        levels[1] = levels[0] + rng.uniform(-0.02, 0.02)
    first = replace(first, x=0.5 + reach, y=_inside(levels[0], first.radius))
    second = replace(second, x=0.5 - reach, y=_inside(levels[1], second.radius))
    return replace(scene, things=(first, second), relation=relation)


def _vertical(rng: random.Random, scene: Scene, first: Thing, second: Thing) -> Scene:
    if scene.scene in FLOATING_SCENES:
        above, levels = rng.random() < 0.5, [rng.uniform(0.23, 0.29), rng.uniform(0.71, 0.77)]
    else:
        above = first.kind in FLIES
        levels = sorted(_level(rng, scene.scene, t.kind, t.radius) for t in (first, second))
    x = rng.uniform(0.45, 0.55)
    ys = levels if above else levels[::-1]
    things = tuple(
        replace(t, x=x + rng.uniform(-0.03, 0.03), y=_inside(y, t.radius))
        for t, y in zip((first, second), ys, strict=True)
    )
    return replace(scene, things=things, relation="above" if above else "below")


def _trio(rng: random.Random, scene: Scene) -> Scene:
    things = [replace(t, radius=rng.uniform(*TRIO_RADIUS)) for t in _pick_things(rng, scene, 3)]
    return replace(scene, things=_in_row(rng, scene, things))


def _counting(rng: random.Random, scene: Scene) -> Scene:
    count = rng.choice((2, 3, 4))
    return counted(rng, scene, _pick_things(rng, scene, 1)[0], count)


def counted(rng: random.Random, scene: Scene, thing: Thing, count: int) -> Scene:
    """Return a scene that shows nothing but two to four equal things, in their order."""
    roomy = scene.scene in FLOATING_SCENES and count > 2
    low, high = (0.17, 0.19) if roomy else {2: (0.19, 0.21), 3: (0.135, 0.15), 4: (0.1, 0.11)}[count]
    things = [replace(thing, radius=rng.uniform(low, high)) for _ in range(count)]
    arranged = _in_square(rng, things) if roomy else _in_row(rng, scene, things)
    return replace(scene, things=arranged, count=count)


def _in_row(rng: random.Random, scene: Scene, things: Sequence[Thing]) -> tuple[Thing, ...]:
    level = _level(rng, scene.scene, things[0].kind, max(t.radius for t in things))
    same = len({t.kind for t in things}) == 1 or scene.scene in FLOATING_SCENES
    return tuple(
        replace(
            thing,
            x=x + rng.uniform(-0.02, 0.02),
            y=_inside(
                level + rng.uniform(-0.02, 0.02) if same else _level(rng, scene.scene, thing.kind, thing.radius),
                thing.radius,
            ),
        )
        for thing, x in zip(things, ROWS[len(things)], strict=True)
    )


def _in_square(rng: random.Random, things: Sequence[Thing]) -> tuple[Thing, ...]:
    """Put four things at the corners of a square, three at its lower corners and above their middle."""
    top = [(0.27, 0.27), (0.73, 0.27)] if len(things) == 4 else [(0.5, 0.27)]
    return tuple(
        replace(thing, x=x + rng.uniform(-0.02, 0.02), y=y + rng.uniform(-0.02, 0.02))
        for thing, (x, y) in zip(things, [*top, (0.27, 0.73), (0.73, 0.73)], strict=True)
    )


def _corner(rng: random.Random, scene: Scene) -> Scene:
    """Put a small thing into a corner beside one in the middle, as inpainting does; nothing floats on the ground."""
    if scene.scene not in FLOATING_SCENES:
        return _single(rng, scene)
    first, second = _pick_things(rng, scene, 2)
    first = replace(first, radius=rng.uniform(*CORNER_RADIUS))
    second = replace(second, radius=rng.uniform(*CENTRE_RADIUS))
    place = rng.choice([place for place in PLACE_AT if " " in place])
    x, y = (want + rng.uniform(-0.05, 0.05) for want in PLACE_AT[place] if want)
    second = replace(second, x=rng.uniform(0.4, 0.6), y=rng.uniform(0.45, 0.6))
    return replace(scene, things=(replace(first, x=x, y=y), second), place=place)


_LAYOUTS = {"single": _single, "pair": _pair, "trio": _trio, "counting": _counting, "corner": _corner}
