"""Passes a running job's events to a listener that may be slow, without waiting for it. Knows no engine internals."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from bot.jobs.records import Job
from engine.api.events import Event

log = logging.getLogger(__name__)
LAST_CALL_S = 10.0  # what a listener's last call gets before the job's delivery goes ahead without it


class Listener(Protocol):
    async def on_event(self, job: Job, event: Event) -> None:
        """Show what the engine says about a running job.

        Called for one job one at a time and in order; while a call runs, a newer event of the same kind (and image)
        replaces the waiting one. The last event is the terminal one of this attempt: a `Failed` with a retryable error
        may be followed by `Queued` again. Terminal events are for tidying up: show nothing on them, the courier does.
        No other call for a job is running when its delivery is tried, so a late progress edit cannot cover the result.
        Exceptions are logged and ignored; a last call that takes over 10 s is cancelled.
        """
        ...


class Relay:
    """One job's line to the listener: one call at a time, in order, the latest event of each kind wins."""

    def __init__(self, listener: Listener, job: Job) -> None:
        self._listener, self._job = listener, job
        self._waiting: dict[tuple[type, int], Event] = {}
        self._task: asyncio.Task[None] | None = None
        self._hushed = False

    def push(self, event: Event) -> None:
        """Hand an event over; returns at once."""
        if not self._hushed:
            self._put(event)

    def _put(self, event: Event) -> None:
        key = (type(event), getattr(event, "index", 0))
        self._waiting.pop(key, None)  # so that a newer one stands at its own place in time
        self._waiting[key] = event
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tell(), name=f"relay-{self._job.id}")

    async def hush(self) -> None:
        """Tell no more; returns when no call is running any more."""
        self._hushed = True
        self._waiting.clear()
        await self._settle()

    def resume(self) -> None:
        """Tell events again, those from now on."""
        self._hushed = False

    async def close(self, last: Event | None = None) -> None:
        """Hush, then tell the terminal event; returns when that call ended."""
        await self.hush()
        if last is not None:
            self._put(last)
            await self._settle()

    async def _settle(self) -> None:
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=LAST_CALL_S)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _tell(self) -> None:
        while self._waiting:
            event = self._waiting.pop(next(iter(self._waiting)))
            try:
                await self._listener.on_event(self._job, event)
            except Exception:  # the outer edge of showing progress: the picture matters more
                log.exception("showing %s of job %d failed", type(event).__name__, self._job.id)
