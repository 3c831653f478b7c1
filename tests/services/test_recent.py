"""Read once, answered many times, and never for long."""

from __future__ import annotations

import asyncio

import pytest

from bot.store.clock import ManualClock
from bot.store.ttl_cache import FRESH_MS, TTLCache


async def test_one_read_serves_all_who_ask_at_once_and_soon_after() -> None:
    clock, reads = ManualClock(), 0
    recent = TTLCache(clock)

    async def load() -> int:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        return reads

    assert set(await asyncio.gather(*(recent.get("a", load) for _ in range(50)))) == {1}
    assert await recent.get("b", load) == 2
    clock.advance(FRESH_MS / 1000)
    assert await recent.get("a", load) == 3
    recent.clear()
    assert await recent.get("a", load) == 4
    clock.advance(-3600)
    assert await recent.get("a", load) == 5


async def test_a_failed_read_is_tried_again() -> None:
    recent = TTLCache(ManualClock())

    async def fail() -> int:
        raise OSError("gone")

    async def work() -> int:
        return 7

    with pytest.raises(OSError, match="gone"):
        await recent.get("a", fail)
    assert await recent.get("a", work) == 7
