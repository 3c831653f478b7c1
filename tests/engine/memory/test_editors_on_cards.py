"""The page of models says how editors are kept on cards: as the plan has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.models.memory import ladder
from engine.models.memory.ladder import Room
from engine.models.memory.sizes import PartSize, Sizes

PAGE = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
GB, VAE, LARGE_SHARE, FREE_SHARE = 2**30, 84_000_000, 0.95, 0.95
CARDS = tuple(
    map(int, re.findall(r"(\d+) GB", next(row for row in PAGE.splitlines() if row.startswith("| model | 8"))))
)
ROWS = re.findall(r"^\| ([^|]+) \(([\d.]+) \+ ([\d.]+)[^)|]*\) \|(.+)\|$", PAGE, re.M)


def part(billions: str) -> PartSize:
    numbers = round(float(billions) * 1e9)
    return PartSize(numbers=numbers, small=int(numbers * LARGE_SHARE))


@pytest.mark.parametrize(("name", "denoiser", "encoders", "kept"), ROWS)
def test_the_page_says_what_the_plan_says(name: str, denoiser: str, encoders: str, kept: str) -> None:
    sizes = Sizes(denoiser=part(denoiser), encoders=part(encoders), rest=PartSize(numbers=VAE))
    rungs = ladder.rungs(own_memory=True, movable=True)
    rooms = [Room.of_free(int(card * FREE_SHARE * GB)) for card in CARDS]
    found = [ladder.choose(sizes, 2, room, rungs).name for room in rooms]
    assert [cell.strip() for cell in kept.split("|")] == found, name
    assert len(ROWS) >= 7
