"""The one source of wall time, injected everywhere so that tests can move it. Knows nothing else."""

from __future__ import annotations

import time
from typing import Protocol

DAY_MS = 86_400_000


class Clock(Protocol):
    def now_ms(self) -> int:
        """UTC epoch in milliseconds; may jump (people set clocks), so nothing may break when it goes back."""
        ...


class SystemClock:
    """The machine's clock. `time.time`, because the simulated Discord replaces the monotonic clocks."""

    def now_ms(self) -> int:
        return int(time.time() * 1000)


class ManualClock:
    """A clock that only moves when told, for tests and for the demo's jumps in time."""

    def __init__(self, now_ms: int = 1_750_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, seconds: float) -> None:
        self._now_ms += int(seconds * 1000)
