"""The services wired together on a real database and the shipped fake engine, as the app does it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.config import Settings
from bot.jobs.dispatcher import Dispatcher
from bot.jobs.event_relay import Listener
from bot.jobs.files import ImageFiles
from bot.jobs.outbox import Courier, Outbox, PicturesLost, Receipt
from bot.jobs.records import Job, NewJob, OutboxEntry, StoredImage
from bot.jobs.service import Jobs
from bot.ledger.limits import default_terms
from bot.ledger.records import Balance
from bot.store.clock import Clock
from engine.api.events import Event
from engine.fake import FakeEngine
from tests.job_rows import JobRows
from tests.specs import spec_in

_interactions = itertools.count(1)


def asked(prompt: str = "a red boat", **changes: Any) -> NewJob:
    """A job as asked for, each time by a new interaction; keywords change it or its spec."""
    spec: dict[str, Any] = {
        "prompt": prompt,
        "width": 64,
        "height": 64,
        "num_inference_steps": 4,
        "guidance_scale": 4.0,
        "scheduler": "euler",
        "seed": 7,
        "model": "mini",
    }
    asked_for = spec_in(changes, **spec)
    job: dict[str, Any] = {
        "interaction_id": next(_interactions),
        "guild_id": 1,
        "channel_id": 2,
        "user_id": 10,
        "price_mc": 4000,
        "application_id": 3,
        "reply_token": "secret",
    }
    return NewJob(spec=asked_for, **job | changes)


async def until(check: Callable[[], Awaitable[bool]], limit_s: float = 20.0) -> None:
    """Wait until `check` says yes. The database has nobody to tell a test when something changed, so it asks."""
    async with asyncio.timeout(limit_s):
        while not await check():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@dataclass
class Ear:
    """A listener that remembers; `slow` is awaited in each call."""

    heard: list[tuple[int, str]] = field(default_factory=list)
    slow: Callable[[], Any] | None = None

    async def on_event(self, job: Job, event: Event) -> None:
        self.heard.append((job.id, type(event).__name__))
        if self.slow is not None:
            await self.slow()


@dataclass
class Postman:
    """A courier that remembers; `answers` are raised or returned, one a call, before it works normally."""

    sent: list[tuple[int, str, int]] = field(default_factory=list)
    nonces: list[str] = field(default_factory=list)
    answers: list[Exception] = field(default_factory=list)
    lost: int = 0  # pictures of each result whose files are gone

    async def deliver(self, owed: OutboxEntry, job: Job, images: Sequence[StoredImage]) -> Receipt:
        self.nonces.append(owed.nonce)
        if self.answers:
            raise self.answers.pop(0)
        if images and self.lost >= len(images):
            raise PicturesLost
        self.sent.append((job.id, owed.kind, len(images[self.lost :])))
        return Receipt(message_id=900 + job.id, lost=tuple(image.id for image in images[: self.lost]))


@dataclass
class Workbench:
    store: JobRows
    engine: FakeEngine
    files: ImageFiles
    dispatcher: Dispatcher
    outbox: Outbox
    jobs: Jobs
    settings: Settings
    ear: Any
    post: Any

    async def idle(self, limit_s: float = 20.0) -> None:
        """Wait until every job ended and was delivered."""

        async def nothing_pending() -> bool:
            return await self.store.pending() == 0

        await until(nothing_pending, limit_s)

    async def heard(self, word: str) -> None:
        """Wait until the listener heard an event of that name."""

        async def it_did() -> bool:
            return word in {name for _, name in self.ear.heard}

        await until(it_did)

    async def balance(self, user_id: int, guild_id: int) -> Balance:
        """Their credits on the plain terms."""
        terms = default_terms(self.settings)
        return await self.store.balance(user_id, guild_id, terms.allowance_mc, terms.period)

    async def waits(self, job_id: int, attempts: int) -> Job:
        """Wait until the job is back in the queue after that many attempts."""

        async def it_does() -> bool:
            job = await self.store.job(job_id)
            return (job.state, job.attempts) == ("queued", attempts)

        await until(it_does)
        return await self.store.job(job_id)

    async def nothing_runs(self) -> None:
        async def empty() -> bool:
            return not self.dispatcher.running

        await until(empty)

    def wake(self) -> None:
        """Look at the (manual) clock again."""
        self.store.queued.set()
        self.store.owed.set()


@asynccontextmanager
async def workbench(
    folder: Path,
    clock: Clock,
    *,
    engine: FakeEngine | None = None,
    ear: Listener | None = None,
    post: Courier | None = None,
    start: bool = True,
    **settings: Any,
) -> AsyncIterator[Workbench]:
    """A process's worth of services on the data in `folder`."""
    values: dict[str, Any] = {"data_dir": folder, "min_free_mib": 0, "max_queued": 1000} | settings
    chosen = Settings(_env_file=None, **values)
    async with JobRows.open(chosen.database_path, clock) as store, engine or FakeEngine() as engine:
        files, ear, post = ImageFiles(chosen.images_dir), ear or Ear(), post or Postman()
        dispatcher = Dispatcher(store, engine, files, ear, chosen, clock)
        outbox = Outbox(store, post, clock)
        jobs = Jobs(store, files, dispatcher, chosen)
        bench = Workbench(store, engine, files, dispatcher, outbox, jobs, chosen, ear, post)
        if start:
            await dispatcher.start()
            await outbox.start()
        try:
            yield bench
        finally:
            await dispatcher.stop()
            await outbox.stop()
        assert await store.problems() == []
