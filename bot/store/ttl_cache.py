"""What was read a moment ago: many people at once ask the same few questions. Knows no database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from bot.store.clock import Clock

T = TypeVar("T")
FRESH_MS = 250  # what another process changed (`easel admin ban`) holds after this
MAX_KEPT = 5000


class TTLCache:
    """Answers for a while (a quarter of a second) what was read once; whoever changes something clears it."""

    def __init__(self, clock: Clock, fresh_ms: int = FRESH_MS) -> None:
        self._clock, self._fresh_ms = clock, fresh_ms
        self._kept: dict[Hashable, tuple[int, asyncio.Future[Any]]] = {}

    async def get(self, key: Hashable, load: Callable[[], Awaitable[T]]) -> T:
        """The value of a key, loaded once for all who ask at the same time. Raises: what `load` raises."""
        now_ms = self._clock.now_ms()
        at_ms, reading = self._kept.get(key, (0, None))
        if reading is None or not 0 <= now_ms - at_ms < self._fresh_ms or _failed(reading):
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            reading = asyncio.ensure_future(load())
            self._kept[key] = now_ms, reading
        value: T = await asyncio.shield(reading)
        return value

    def clear(self) -> None:
        """Something changed: read anew."""
        self._kept.clear()


def _failed(reading: asyncio.Future[Any]) -> bool:
    return reading.done() and (reading.cancelled() or reading.exception() is not None)
