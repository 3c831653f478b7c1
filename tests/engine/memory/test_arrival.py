"""A model comes to a card part by part, and what doesn't fit is known before the rest of it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.models.catalog import source
from engine.models.files import parts
from engine.models.memory import arrival
from engine.models.memory.placing import Placing
from tests.engine.memory.small_card import SmallCard

PARTS = 4  # of SDXL that have weights
ROOM = 1 << 30


@pytest.fixture
def on_card(monkeypatch: pytest.MonkeyPatch) -> tuple[SmallCard, list[int]]:
    """A card, and what is on it whenever a part begins to be read."""
    card, seen = SmallCard(ROOM), list[int]()
    read = parts.load

    def load(*given: Any, **how: Any) -> Any:
        seen.append(card.weights())
        return read(*given, **how)

    monkeypatch.setattr(parts, "load", load)
    return card, seen


def test_each_part_is_there_before_the_next_is_read(
    folders: dict[str, Path], on_card: tuple[SmallCard, list[int]]
) -> None:
    card, seen = on_card
    placing = Placing(card)
    arrival.bring(source("boats", str(folders["sdxl"])), torch.float32, placing)
    assert len(seen) == PARTS
    assert [0, *sorted(set(seen[1:]))] == seen, "more each time"
    assert seen[-1] < card.weights() == placing.nbytes


@pytest.mark.parametrize("after", range(1, PARTS + 1))
def test_what_does_not_fit_ends_the_load_and_leaves_nothing(
    folders: dict[str, Path], on_card: tuple[SmallCard, list[int]], after: int
) -> None:
    """Even while the error, whose frames hold the parts, is still there."""
    card, seen = on_card
    card.full = lambda what: len(seen) == after
    with pytest.raises(torch.OutOfMemoryError):
        arrival.bring(source("boats", str(folders["sdxl"])), torch.float32, Placing(card))
    assert len(seen) == after
    assert seen[-1] > 0 or after == 1
    assert card.weights() == 0
