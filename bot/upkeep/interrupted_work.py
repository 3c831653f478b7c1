"""Jobs that nobody paints, results that nobody owes, credits that no job holds. Knows no SQL."""

from __future__ import annotations

import logging

from bot.jobs.dispatcher import RETRY_DELAYS_S, Dispatcher
from bot.jobs.outbox import BACKOFF_MAX_S
from bot.jobs.store import JobStore
from bot.store.clock import Clock
from bot.store.store import Store
from bot.upkeep import store as upkeep_store

log = logging.getLogger(__name__)


class InterruptedWork:
    """Takes up again what was dropped while the process goes on."""

    def __init__(self, store: Store, jobs: JobStore, dispatcher: Dispatcher, clock: Clock) -> None:
        self._store, self._jobs, self._dispatcher, self._clock = store, jobs, dispatcher, clock
        self._dropped: frozenset[int] = frozenset()

    async def take_up(self) -> None:
        """Queue again the jobs of this process that it doesn't carry, now and at the look before."""
        running = frozenset(await self._jobs.running_of(self._dispatcher.boot_id))
        dropped = running - self._dispatcher.running  # asked for afterwards: what was claimed meanwhile is carried
        for_long = dropped & self._dropped
        self._dropped = dropped - for_long
        if for_long:
            log.warning("%d jobs were painted by nobody and are taken up again", len(for_long))
            await self._jobs.take_up_again(self._dispatcher.boot_id, for_long)

    async def put_right(self) -> None:
        """Owe what nothing owes, release what nothing holds, and let nothing wait for ever."""
        now_ms = self._clock.now_ms()
        latest = now_ms + int(max(RETRY_DELAYS_S) * 1000), now_ms + int(BACKOFF_MAX_S * 1000)
        counts = {
            "results were owed by nobody": await self._store.write(upkeep_store.owe_again, now_ms),
            "jobs that have ended held credits": await self._store.write(upkeep_store.release_strays, now_ms),
            "jobs or deliveries waited for a clock that went back": await self._store.write(
                upkeep_store.clamp_waits, *latest
            ),
        }
        for what, count in counts.items():
            if count:
                log.warning("%d %s; mended", count, what)
                self._jobs.queued.set()
                self._jobs.owed.set()
