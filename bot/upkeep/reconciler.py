"""Puts right, every minute, what crashes, full disks and bugs leave behind. Knows only when, not what.

Each part names its steps when the app is wired. A step does a bounded piece of work, and what it can't do now it does
next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from bot.loops import Loop

log = logging.getLogger(__name__)
EVERY_S = 60.0
STEP_S = 120.0  # a step that takes longer is cut off; the others must have their turn
Step = Callable[[], Awaitable[object]]


class Reconciler:
    """Takes its steps one after another, once at the start and then every minute; one that fails stops no other."""

    def __init__(self, steps: Mapping[str, Step]) -> None:
        self._steps = steps
        self.loop = Loop("reconciler", self._serve, longest_s=2 * EVERY_S + STEP_S * len(steps))

    async def once(self) -> list[str]:
        """Take every step; the names of those that failed."""
        return [name for name, step in self._steps.items() if not await self._taken(name, step)]

    async def _taken(self, name: str, step: Step) -> bool:
        try:
            async with asyncio.timeout(STEP_S):
                await step()
        except Exception:  # the outer edge of a step
            log.exception("reconciling %s failed; it is tried again in a minute", name)
            return False
        return True

    async def _serve(self) -> None:
        await self.once()
        await asyncio.sleep(EVERY_S)
