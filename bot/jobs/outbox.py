"""Delivers what is owed until it is delivered: the durable half of showing results. Knows no Discord."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.errors import Busy, NotFound
from bot.jobs.records import Job, OutboxEntry, StoredImage
from bot.jobs.store import JobStore
from bot.loops import Loop
from bot.store.async_wait import first_of, seconds_until, until_written
from bot.store.clock import Clock

log = logging.getLogger(__name__)
AT_ONCE = 16  # deliveries under way together
TRY_S = 600.0  # one try, which may go through all ways to a person
BACKOFF_MAX_S = 300.0
BEHIND_S = 10.0  # pause while the pictures can't be read
BROKEN_STORE_S = 5.0  # pause when the database refuses, instead of turning in circles
MOST_TRIES = 296  # a day of them at those pauses, counted and not timed: clocks jump. Then it waits in the history


class TryLater(Exception):
    """The delivery may work after `after_s` seconds (rate limit, outage); None = the outbox chooses."""

    def __init__(self, after_s: float | None = None) -> None:
        super().__init__(f"try again in {after_s} s" if after_s is not None else "try again later")
        self.after_s = after_s


class Undeliverable(Exception):
    """No try will ever work (channel gone, bot removed). The pictures wait in the history, the price is refunded."""


class TokenRefused(Exception):
    """Discord no longer accepts the bot's token: nothing can be delivered, and everything stays owed."""


class PicturesLost(Exception):
    """No file of the result is left on the disk, or none that is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A delivery that arrived: in which message, and without which pictures (ids), whose files are gone."""

    message_id: int | None
    lost: tuple[int, ...] = ()


class Courier(Protocol):
    async def deliver(self, owed: OutboxEntry, job: Job, images: Sequence[StoredImage]) -> Receipt:
        """Edit the job's message into its final form.

        May be called again with the same entry after a crash: must then change nothing a person sees. `images` is empty
        unless a result is owed. Who can't be reached at all, or only later, is told so where that is possible.
        Raises: TryLater, Undeliverable, TokenRefused, PicturesLost.
        """
        ...


class Outbox:
    """Owns the deliveries: nobody else calls the courier.

    Attributes:
        on_refused: called once when Discord no longer accepts the bot's token; nothing is tried any more then.
    """

    def __init__(self, store: JobStore, courier: Courier, clock: Clock) -> None:
        self._store, self._courier, self._clock = store, courier, clock
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self.loop = Loop("outbox", self._serve)
        self.on_refused: Callable[[], None] = lambda: None
        self._refused = False

    async def start(self) -> None:
        """Begin with what is owed already. Idempotent."""
        self.loop.start()

    async def stop(self, grace_s: float = 0.0) -> None:
        """Deliver what is due for up to `grace_s` seconds, then stop; the rest waits for the next start."""
        if not self.loop.wanted:
            return
        try:
            async with asyncio.timeout(grace_s):
                while self._under_way or (not self._refused and await self._store.due_deliveries(1)):
                    await first_of(self._store.owed.wait(), *self._under_way.values(), timeout_s=0.05)
        except TimeoutError:
            log.info("deliveries wait for the next start")
        await self.loop.stop()
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self) -> None:
        self._store.owed.clear()
        await self._begin_due()
        idle_s = await self._idle_s()
        await first_of(self._store.owed.wait(), *self._under_way.values(), timeout_s=idle_s)

    async def _begin_due(self) -> None:
        busy = set(self._under_way)  # noted before the look, in which what is delivered meanwhile still seems owed
        room = 0 if self._refused else AT_ONCE - len(busy)
        due = await self._store.due_deliveries(AT_ONCE * 2) if room > 0 else []
        for owed in [owed for owed in due if owed.id not in busy][:room]:
            self._begin(owed)

    async def _idle_s(self) -> float:
        """Until the next delivery is due; one that is due but under way does not count (its task wakes us)."""
        due = await self._store.next_delivery_ms()
        wait_s = seconds_until(self._clock, due)
        return wait_s if not self._under_way else max(wait_s, 0.5)

    def _begin(self, owed: OutboxEntry) -> None:
        task = asyncio.create_task(self._attempt(owed), name=f"deliver-{owed.id}")
        self._under_way[owed.id] = task
        task.add_done_callback(lambda _: self._under_way.pop(owed.id, None))

    async def _attempt(self, owed: OutboxEntry) -> None:
        try:
            await self._try(owed)
        except sqlite3.Error:  # a failed try that could not be noted is made again
            log.exception("noting the delivery of job %d failed", owed.job_id)
            await asyncio.sleep(BROKEN_STORE_S)

    async def _try(self, owed: OutboxEntry) -> None:
        try:
            async with asyncio.timeout(TRY_S):
                receipt = await self._deliver(owed)
        except TryLater as later:
            await self._again(owed, later.after_s)
        except Busy:  # the disk is behind, or away
            until_ms = self._clock.now_ms() + int(BEHIND_S * 1000)
            await self._store.delivery_postponed(owed.id, until_ms=until_ms)
        except TokenRefused:
            self._refuse()
        except Undeliverable as error:
            log.warning("job %d cannot be delivered: %s", owed.job_id, error)
            await self._store.delivery_failed(owed.id, retry_at_ms=None)
        except PicturesLost:
            log.error("the files of job %d are gone from the disk or damaged; it is refunded", owed.job_id)
            await self._store.pictures_lost(owed.id)
        except NotFound:
            log.info("job %d was deleted while it was being delivered", owed.job_id)
        except Exception:  # the outer edge of delivering: a bug or an outage must not lose what is owed
            log.exception("delivering job %d failed", owed.job_id)
            await self._again(owed, None)
        else:
            await until_written(lambda: self._store.delivered(owed.id, receipt.message_id, receipt.lost))

    async def _deliver(self, owed: OutboxEntry) -> Receipt:
        job = await self._store.job(owed.job_id)
        images = await self._store.images(owed.job_id) if owed.kind == "result" else []
        return await self._courier.deliver(owed, job, images)

    def _refuse(self) -> None:
        """Stop delivering: with this token nothing will ever arrive, and nothing that is owed may be given up."""
        if not self._refused:
            self._refused = True
            self.on_refused()

    async def _again(self, owed: OutboxEntry, after_s: float | None) -> None:
        if owed.attempts >= MOST_TRIES:
            log.warning("job %d was not delivered in %d tries; it waits in the history", owed.job_id, owed.attempts)
            return await self._store.delivery_failed(owed.id, retry_at_ms=None)
        delay_s = min(2.0 ** min(owed.attempts, 10) if after_s is None else after_s, BACKOFF_MAX_S)
        await self._store.delivery_failed(owed.id, retry_at_ms=self._clock.now_ms() + int(delay_s * 1000))
