"""The one source of wall time, injected everywhere so that tests can move it. Knows nothing else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)
DAY_MS = 86_400_000
LASTS_MS = 3_600_000  # what says so for an hour, and is contradicted by nobody, is believed
NEVER_MS = 1 << 62


class Clock(Protocol):
    def now_ms(self) -> int:
        """UTC epoch in milliseconds; may jump (people set clocks), so nothing may break when it goes back."""
        ...


class SystemClock:
    """The machine's clock. `time.time`, because the simulated Discord replaces the monotonic clocks."""

    def now_ms(self) -> int:
        return int(time.time() * 1000)


def _running_ms() -> int:
    """Milliseconds that this machine has been on; nobody can set it."""
    if hasattr(time, "CLOCK_BOOTTIME"):  # goes on while the machine sleeps
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    return time.perf_counter_ns() // 1_000_000


class SteadyClock:
    """The machine's clock, but a jump of over a day isn't believed until it lasts, or somebody else confirms it.

    Meanwhile time goes on as it did before: a clock that is wrong for a moment must not end bans, give free credits or
    delete what is old. `machine` is the clock that is watched, `running_ms` one that can't be set.
    """

    def __init__(self, machine: Clock | None = None, running_ms: Callable[[], int] = _running_ms) -> None:
        self._machine, self._running_ms = machine or SystemClock(), running_ms
        self._believed_ms = self._said_ms()  # when the machine was switched on, as far as is known
        self._doubted_ms = self._refuted_ms = NEVER_MS  # the same by a clock that jumped, and by one that was wrong
        self._since_ms = 0

    def now_ms(self) -> int:
        said_ms = self._said_ms()
        if _about(said_ms, self._believed_ms):
            self._believe(said_ms)
        elif not _about(said_ms, self._doubted_ms):
            self._doubt(said_ms)
        elif self._running_ms() - self._since_ms >= LASTS_MS and not _about(said_ms, self._refuted_ms):
            self._believe(said_ms)
        return self._running_ms() + self._believed_ms

    def resume(self, last_ms: int) -> None:
        """Go on from the time at which the process before this one was last seen."""
        self._believed_ms = last_ms - self._running_ms()
        self._doubted_ms = NEVER_MS
        self.now_ms()

    def witness(self, at_ms: int) -> None:
        """Hear from somebody with a good clock that it's `at_ms` now."""
        right_ms, said_ms = at_ms - self._running_ms(), self._said_ms()
        if _about(said_ms, right_ms):
            self._refuted_ms = NEVER_MS
            self._believe(said_ms)
            return
        self._refuted_ms = said_ms
        if not _about(self._believed_ms, right_ms):
            self._believe(right_ms)

    def _said_ms(self) -> int:
        return self._machine.now_ms() - self._running_ms()

    def _believe(self, began_ms: int) -> None:
        if not _about(began_ms, self._believed_ms):
            log.warning("it's %s now: the jump of %s is believed", *self._jump(began_ms))
        self._believed_ms, self._doubted_ms = began_ms, NEVER_MS

    def _doubt(self, began_ms: int) -> None:
        self._doubted_ms, self._since_ms = began_ms, self._running_ms()
        log.warning("the clock says that it's %s, a jump of %s: that is believed once it lasts", *self._jump(began_ms))

    def _jump(self, began_ms: int) -> tuple[str, str]:
        then = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime((self._running_ms() + began_ms) / 1000))
        return then, f"{(began_ms - self._believed_ms) / DAY_MS:+.1f} days"


def _about(one_ms: int, other_ms: int) -> bool:
    return abs(one_ms - other_ms) <= DAY_MS


class ManualClock:
    """A clock that only moves when told, for tests and for the demo's jumps in time."""

    def __init__(self, now_ms: int = 1_750_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, seconds: float) -> None:
        self._now_ms += int(seconds * 1000)
