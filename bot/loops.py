"""Loops that serve for as long as the process lives, and the watchdog that keeps them going. Knows nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

log = logging.getLogger(__name__)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # after a turn that failed; doubled while turns go on failing
LOOK_S = 15.0  # between the watchdog's looks


class Loop:
    """A task that takes one turn after another until it's stopped. A turn waits for its work by itself, not for ever.

    What a turn raises is logged, and the next one comes after a pause: a bug must not end what everybody depends on.

    Attributes:
        turns: how many were begun.
        longest_s: a turn that takes longer hangs.
    """

    def __init__(self, name: str, turn: Callable[[], Awaitable[None]], longest_s: float = 300.0) -> None:
        self.name, self._turn, self.longest_s = name, turn, longest_s
        self.turns = 0
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def wanted(self) -> bool:
        """Whether it was started and not stopped."""
        return self._task is not None and not self._stopped

    def start(self) -> None:
        """Begin. Idempotent."""
        self._stopped = False
        if not self.running:
            self._task = asyncio.create_task(self._serve(), name=self.name)

    async def stop(self) -> None:
        """End, in the middle of a turn if need be. Idempotent."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def again(self) -> None:
        """Stop what hangs and begin anew."""
        await self.stop()
        self.start()

    async def _serve(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            self.turns += 1
            try:
                await self._turn()
                pause_s = FIRST_PAUSE_S
            except Exception:  # the outer edge of a loop
                log.exception("a turn of %s failed; the next one comes in %.0f s", self.name, pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


class Watchdog:
    """Starts loops again that ended or hang. It counts its own looks, for clocks jump."""

    def __init__(self, loops: Sequence[Loop]) -> None:
        self._loops = loops
        self._seen = {loop.name: (0, 0) for loop in loops}  # turns, and how many looks found no other number

    async def look(self) -> list[str]:
        """Look once; the names of the loops that were started again. To be called every `LOOK_S`."""
        return [loop.name for loop in self._loops if await self._revived(loop)]

    async def _revived(self, loop: Loop) -> bool:
        turns, looks = self._seen[loop.name]
        looks = looks + 1 if loop.turns == turns else 0
        self._seen[loop.name] = loop.turns, looks
        if not loop.wanted or (loop.running and looks * LOOK_S < loop.longest_s):
            return False
        log.error("%s %s; it is started again", loop.name, "hangs" if loop.running else "ended")
        self._seen[loop.name] = loop.turns, 0
        await loop.again()
        return True
