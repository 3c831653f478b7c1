"""How a model is kept in memory: whole, or in the first of some smaller ways that fits. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.models.memory.sizes import Sizes

FP8_BYTES = 1.0
FOUR_BIT_BYTES = 0.5 + 4 / 64  # a number's half byte, and its share of a block's float32 scale
WEIGHTS_SHARE = 0.8  # of what is free; the rest is for activations ...
MOST_SPARE_BYTES = 8 << 30  # ... which need no more than this, however large the card
PEAK_SHARE = 0.95  # of what is free: weights and one text encoder, whose activations are small
STREAMED_SHARE = 0.12  # of a denoiser's or encoder's weights: two of its blocks, and what belongs to none


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One way of keeping a model.

    Attributes:
        name: as doctor, /models and recipes say it.
        bits: of each large weight of the denoiser and the text encoders; 0 = as the model's precision has it.
        leave: text encoders are on the device only while they read. stream: blocks come to the device one by one.
    """

    name: str
    bits: int = 0
    leave: bool = False
    stream: bool = False

    @property
    def changes_pictures(self) -> bool:
        """Whether pictures come out a little different; where a module is kept changes none of its numbers."""
        return bool(self.bits)


WHOLE = Rung(name="whole")
RUNGS = (
    WHOLE,
    Rung(name="encoders leave", leave=True),
    Rung(name="fp8", bits=8),
    Rung(name="fp8, encoders leave", bits=8, leave=True),
    Rung(name="4 bit", bits=4),
    Rung(name="4 bit, encoders leave", bits=4, leave=True),
    Rung(name="offload", stream=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Bytes that weights may take: `budget` at any time, `peak` while a text encoder reads."""

    budget: int
    peak: int

    @classmethod
    def of_free(cls, free_bytes: int) -> Room:
        """Of the memory that could be had, leaving some for activations."""
        spare = min(free_bytes * (1 - WEIGHTS_SHARE), MOST_SPARE_BYTES)
        return cls(budget=int(free_bytes - spare), peak=int(free_bytes * PEAK_SHARE))

    @classmethod
    def of_setting(cls, budget: int) -> Room:
        """As somebody wants it."""
        return cls(budget=budget, peak=int(budget / WEIGHTS_SHARE * PEAK_SHARE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Bytes on the device: `resident` at any time, `peak` while a text encoder reads."""

    resident: int
    peak: int

    def within(self, room: Room) -> int:
        """What must be free for it: more than it keeps, where one encoder takes more than the difference."""
        return max(self.resident, self.peak - (room.peak - room.budget))


def need(sizes: Sizes, rung: Rung, itemsize: int) -> Need:
    """What a model takes that is kept so. `itemsize`: bytes of a number in its own precision."""
    small = {8: FP8_BYTES, 4: FOUR_BIT_BYTES}.get(rung.bits, float(itemsize))
    denoiser, encoders = (part.bytes_at(itemsize, small) for part in (sizes.denoiser, sizes.encoders))
    rest = sizes.rest.bytes_at(itemsize, itemsize)
    if rung.stream:
        kept = int(STREAMED_SHARE * (denoiser + encoders)) + rest
        return Need(resident=kept, peak=kept)
    stays = denoiser + rest
    return Need(resident=stays if rung.leave else stays + encoders, peak=stays + encoders)


def rungs(*, own_memory: bool, movable: bool) -> Sequence[Rung]:
    """Those that can be: on a processor weights have nowhere else to go, and some pipelines' parts can't be moved."""
    return [rung for rung in RUNGS if (own_memory or not (rung.leave or rung.stream)) and (movable or not rung.leave)]


def choose(sizes: Sizes, itemsize: int, room: Room, possible: Sequence[Rung]) -> Rung:
    """The first that fits when the model has the device to itself; the last, when none does."""
    for rung in possible:
        needed = need(sizes, rung, itemsize)
        if needed.resident <= room.budget and needed.peak <= room.peak:
            return rung
    return possible[-1]
