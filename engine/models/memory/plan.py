"""How a model of the catalog is kept on a device with so much room. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass

from engine.api.errors import ModelUnloadable
from engine.models import families
from engine.models.catalog import Source, describe
from engine.models.memory import ladder, sizes
from engine.models.memory.ladder import Need, Room, Rung
from engine.models.memory.sizes import Sizes

ITEMSIZES = {"float32": 4, "bfloat16": 2, "float16": 2}
GB = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a model is kept, what that takes, and what would be tried next."""

    rung: Rung
    need: Need
    lower: Rung | None

    def __str__(self) -> str:
        """As in "whole, 6.9 GB"."""
        return f"{self.rung.name}, {self.need.resident / GB:.1f} GB"


def of(
    source: Source, itemsize: int, room: Room, *, own_memory: bool, upscales: bool = False, at: Rung | None = None
) -> Plan:
    """The plan for a model, or for one that upscales, which stays whole: fewer bits are seen in smooth skies.

    Of unread files: whole, and nothing. `at`: the rung that it's kept at whatever fits.
    """
    found, possible = _sizes(source), [ladder.WHOLE]
    if not upscales:
        movable = not _family(source).endswith(families.UNSHARED)
        possible = list(ladder.rungs(own_memory=own_memory, movable=movable))
    rung = at or ladder.choose(found, itemsize, room, possible)
    rest = possible[possible.index(rung) + 1 :] if rung in possible else []
    return Plan(rung=rung, need=ladder.need(found, rung, itemsize), lower=rest[0] if rest else None)


def _sizes(source: Source) -> Sizes:
    try:
        return sizes.of(source.on_disk) if source.on_disk is not None else Sizes()
    except (OSError, ModelUnloadable):  # whoever loads it is told why
        return Sizes()


def _family(source: Source) -> str:
    try:
        return describe(source).family
    except (OSError, ModelUnloadable):
        return families.UNKNOWN
