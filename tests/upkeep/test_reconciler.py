"""Every step has its turn, whatever happens to the others."""

from __future__ import annotations

import asyncio

import pytest

from bot.upkeep import reconciler
from bot.upkeep.reconciler import Reconciler


async def test_a_step_that_fails_or_hangs_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "STEP_S", 0.02)
    taken: list[str] = []

    async def fails() -> None:
        raise OSError(28, "No space left on device")

    async def hangs() -> None:
        await asyncio.Event().wait()

    async def works() -> None:
        taken.append("worked")

    steps = Reconciler({"one that fails": fails, "one that hangs": hangs, "one that works": works})
    assert await steps.once() == ["one that fails", "one that hangs"]
    assert taken == ["worked"]


async def test_it_goes_on_every_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "EVERY_S", 0.001)
    thrice, turns = asyncio.Event(), iter(range(100))

    async def step() -> None:
        if next(turns) == 3:
            thrice.set()

    steps = Reconciler({"a step": step})
    steps.loop.start()
    await asyncio.wait_for(thrice.wait(), 5)
    await steps.loop.stop()
