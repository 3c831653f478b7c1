"""Does a picture show what its prompt asked for? Reads pictures with the checker network, never with the generator."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import avg_pool2d

from engine.mini.measure import Mask, centre
from engine.mini.prompts import Case
from engine.mini.train.config import PICTURE_PX
from engine.mini.train.data import to_tensor
from engine.mini.train.networks.checker import Checker, cells_of
from engine.mini.words import COLOURS, SCENES, STYLES, THINGS

BATCH = 64
CLEARLY = 0.05  # of the picture: how far apart two things must be for a relation to hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the checker sees.

    Attributes:
        kinds: index into `THINGS`, or one past its end for nothing: (16, 16).
        named: index into `THINGS` of what a thing would be whose centre is here: (16, 16).
        colours: probability of each colour: (12, 16, 16).
        peaks: where things have their centres: (32, 32).
    """

    kinds: NDArray[np.int64]
    named: NDArray[np.int64]
    colours: NDArray[np.float32]
    peaks: Mask
    scene: str
    style: str

    def mask(self, kind: str) -> Mask:
        """Return the cells that show a kind."""
        return np.equal(self.kinds, THINGS.index(kind))

    def shows(self, kind: str) -> bool:
        """Tell whether a kind is anywhere."""
        return bool(self.mask(kind).any())

    def colour(self, kind: str) -> str | None:
        """Name the colour of a kind's cells."""
        mask = self.mask(kind)
        return list(COLOURS)[int(self.colours[:, mask].mean(1).argmax())] if mask.any() else None

    def count(self, kind: str) -> int:
        """Count the centres at which there is a thing of a kind."""
        named = np.equal(self.named, THINGS.index(kind))
        return int((self.peaks & named.repeat(2, 0).repeat(2, 1)).sum())


def shrunk(pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """Resize pictures to the size on which networks are trained."""
    return [picture.convert("RGB").resize((PICTURE_PX, PICTURE_PX), Image.Resampling.BOX) for picture in pictures]


def read(checker: Checker, pictures: Sequence[Image.Image]) -> list[Reading]:
    """Read pictures of any size."""
    small = shrunk(pictures)
    batches = (to_tensor(small[i : i + BATCH]) for i in range(0, len(small), BATCH))
    return [
        Reading(
            kinds=kinds.argmax(0).numpy(),
            named=avg_pool2d(kinds[None, :-1], 3, 1, 1)[0].argmax(0).numpy(),
            colours=colours.numpy(),
            peaks=peaks.numpy(),
            scene=SCENES[int(whole[: len(SCENES)].argmax())],
            style=STYLES[int(whole[len(SCENES) :][: len(STYLES)].argmax())],
        )
        for batch in batches
        for kinds, colours, whole, peaks in cells_of(checker, batch)
    ]


def fulfils(reading: Reading, case: Case) -> bool:
    """Judge a picture by its category's question alone, as GenEval does."""
    scene, things = case.scene, case.scene.things
    if case.category in ("scene", "home"):
        return reading.scene == scene.scene
    if case.category == "style":
        return reading.style == scene.style
    if not all(reading.shows(thing.kind) for thing in things):
        return False
    if case.category == "counting":
        return reading.count(things[0].kind) == scene.count
    if case.category == "position":
        assert scene.relation is not None
        return related(reading, scene.relation, things[0].kind, things[1].kind)
    if case.category in ("colours", "attribution"):
        return all(reading.colour(thing.kind) == thing.colour for thing in things)
    return True


def related(reading: Reading, relation: str, first: str, second: str) -> bool:
    """Tell whether the first thing's centre stands to the second's as asked."""
    (x1, y1), (x2, y2) = centre(reading.mask(first)), centre(reading.mask(second))
    apart = {"left of": x2 - x1, "right of": x1 - x2, "above": y2 - y1, "below": y1 - y2}
    return apart[relation] > CLEARLY


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % confidence interval of a rate (Wilson 1927)."""
    rate, squared = successes / trials, z * z / trials
    middle = (rate + squared / 2) / (1 + squared)
    reach = z / (1 + squared) * math.sqrt(rate * (1 - rate) / trials + squared / (4 * trials))
    return max(0.0, middle - reach), min(1.0, middle + reach)
