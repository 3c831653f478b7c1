"""The store's face: one method for each thing that may happen to jobs, pictures and credits. Knows no Discord.

Every method that changes something is one transaction and counts once it returns (also after a power loss).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, TypeVar

from bot.features.region import store as region_store
from bot.jobs import deliveries, lifecycle, queue
from bot.jobs import images as image_rows
from bot.jobs.records import InputImage, Job, NewImage, NewJob, OutboxEntry, Recovered, StoredImage
from bot.ledger import accounts, transfers
from bot.ledger.records import Balance, CreditChange, Entry, Limits
from bot.store import key_values, secure_erase
from bot.store.clock import Clock
from bot.store.connection import Reader, Writer, open_reader, open_writer
from bot.store.lock import directory_lock
from bot.store.migrations import backup, migrate

P = ParamSpec("P")
T = TypeVar("T")
UPLOAD_MS = 3_600_000  # an upload that no job used for an hour is forgotten at the next start


class Store:
    """The open database. Make it with `Store.open`; one process, one event loop.

    Attributes:
        queued: set whenever a job may have become ready to run. owed: set whenever a delivery was written. Whoever
            waits on one clears it first and looks then, so nothing is missed.
    """

    def __init__(self, writer: Writer, reader: Reader, clock: Clock) -> None:
        self._writer, self._reader, self._clock = writer, reader, clock
        self.queued = asyncio.Event()
        self.owed = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, clock: Clock) -> AsyncIterator[Store]:
        """Lock the data directory, migrate, check, connect.

        Raises: AlreadyRunning, NewerDatabase, ChangedMigration, CorruptDatabase.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(directory_lock(path.parent))
            await asyncio.to_thread(migrate, path, clock.now_ms())
            writer = await stack.enter_async_context(open_writer(path))
            reader = await stack.enter_async_context(open_reader(path))
            yield cls(writer, reader, clock)

    # ------------------------------------------------------------ jobs
    async def enqueue(self, new: NewJob, allowance_mc: int, limits: Limits = Limits()) -> Job:  # noqa: B008
        """Grant the period's allowance if due, reserve the price, queue the job. The same interaction gives its job.

        Raises: NotEnoughCredits, TooManyJobs, Busy, NotFound (parent or input picture gone).
        """
        return (await self.enqueue_all([new], allowance_mc, limits))[0]

    async def enqueue_all(self, new: Sequence[NewJob], allowance_mc: int, limits: Limits) -> list[Job]:
        """Like `enqueue`, for several jobs: all of them, or none and nothing reserved."""
        queued = await self._write(lifecycle.enqueue_all, tuple(new), allowance_mc, limits, self._clock.now_ms())
        self.queued.set()
        return queued

    async def bind_message(self, job_id: int, message_id: int) -> None:
        """Remember the progress message: delivering means editing it."""
        await self._write(lifecycle.bind_message, job_id, message_id)

    async def claim(self, boot_id: str, limit: int) -> list[Job]:
        """Take up to `limit` ready jobs, the fairest order first; each claim counts as an attempt."""
        return await self._write(queue.claim, boot_id, limit, self._clock.now_ms())

    async def requeue(self, job_id: int, boot_id: str, *, count_attempt: bool, delay_ms: int = 0) -> Job:
        """Put a running job back, to be claimed after `delay_ms`. Raises: NotRunning."""
        not_before = self._clock.now_ms() + delay_ms if delay_ms else 0
        job = await self._write(lifecycle.requeue, job_id, boot_id, count_attempt, not_before)
        self.queued.set()
        return job

    async def rendered(self, job_id: int, boot_id: str, new: Sequence[NewImage], withheld: int = 0) -> Job:
        """Store the pictures, take their share of the price, release the rest, owe the result. Raises: NotRunning."""
        job = await self._write(lifecycle.rendered, job_id, boot_id, tuple(new), self._clock.now_ms(), withheld)
        self.owed.set()
        return job

    async def fail(self, job_id: int, boot_id: str, code: str, text: str) -> Job:
        """End a running job unpaid and owe its person the sentence `text`. Raises: NotRunning."""
        job = await self._write(lifecycle.fail, job_id, boot_id, code, text, self._clock.now_ms())
        self.owed.set()
        return job

    async def cancel(self, job_id: int) -> Job:
        """End a queued or running job unpaid; a job that ended already is returned as it is. Raises: NotFound."""
        job = await self._write(lifecycle.cancel, job_id, self._clock.now_ms())
        self.owed.set()
        return job

    async def recover(self, boot_id: str) -> Recovered:
        """At start: queue again what other processes were running, give up what was started three times.

        Also forgets expired reply tokens and uploads that no job uses.
        """
        recovered = await self._write(lifecycle.recover, boot_id, self._clock.now_ms())
        await self._write(region_store.drop_old, self._clock.now_ms())
        await self._write(image_rows.drop_unused_inputs, self._clock.now_ms() - UPLOAD_MS)
        self.queued.set()
        self.owed.set()
        return recovered

    async def delete_job(self, job_id: int) -> list[str]:
        """Forget a job for its person: cancelled if active, prompt and pictures gone, credits history kept.

        Returns the relative paths of the files to delete now. Raises: NotFound.
        """
        return await self._write(lifecycle.delete, job_id, self._clock.now_ms())

    async def job(self, job_id: int) -> Job:
        """Raises: NotFound (also when deleted)."""
        return await self._read(lifecycle.get, job_id)

    async def job_of_image(self, image_id: int) -> tuple[Job, StoredImage]:
        """Raises: NotFound (also when deleted)."""
        return await self._read(image_rows.with_job, image_id)

    async def history(self, user_id: int, guild_id: int, before_id: int | None = None, limit: int = 10) -> list[Job]:
        """Somebody's jobs in a server, newest first, those before `before_id`."""
        return await self._read(lifecycle.history, user_id, guild_id, before_id, limit)

    async def active(self, user_id: int, guild_id: int) -> list[Job]:
        """Somebody's queued and running jobs in a server, in the order they will be served."""
        return await self._read(lifecycle.active, user_id, guild_id)

    # ------------------------------------------------------------ the queue
    async def queue_length(self) -> int:
        """Jobs that wait."""
        return await self._read(queue.length)

    async def position(self, job_id: int) -> int | None:
        """How many jobs will be claimed before this one; None when it does not wait."""
        return await self._read(queue.position, job_id)

    async def next_ready_ms(self) -> int | None:
        """When the earliest waiting job may be claimed (epoch ms, 0 = now); None when none waits."""
        return await self._read(queue.next_ready_ms)

    async def pending(self) -> int:
        """Jobs that have not ended plus deliveries that are owed: 0 = nothing more will happen by itself."""
        return await self._read(queue.pending)

    # ------------------------------------------------------------ pictures
    async def images(self, job_id: int) -> list[StoredImage]:
        """A job's pictures in order."""
        return await self._read(image_rows.of_job, job_id)

    async def store_input(self, new: InputImage, user_id: int = 0) -> str:
        """Remember a picture whose file is on disk; its sha256. The same picture twice is one row.

        `user_id`: who uploaded it, so that it is forgotten with them; 0 = nobody in particular.
        """
        return await self._write(image_rows.store_input, new, user_id, self._clock.now_ms())

    async def input_image(self, sha256: str) -> InputImage:
        """Raises: NotFound."""
        return await self._read(image_rows.input_image, sha256)

    async def known_paths(self) -> set[str]:
        """Every file the database refers to, for sweeping what a crash left behind."""
        return await self._read(image_rows.known_paths)

    # ------------------------------------------------------------ deliveries
    async def due_deliveries(self, limit: int = 20) -> list[OutboxEntry]:
        """What is owed and may be tried now, oldest first."""
        return await self._read(deliveries.due, self._clock.now_ms(), limit)

    async def next_delivery_ms(self) -> int | None:
        """When the next owed delivery may be tried (epoch ms); None when nothing is owed."""
        return await self._read(deliveries.next_ms)

    async def delivered(self, delivery_id: int, message_id: int | None) -> None:
        """The person has it: the job is done, its reply token forgotten. Idempotent."""
        await self._write(deliveries.delivered, delivery_id, message_id, self._clock.now_ms())

    async def delivery_failed(self, delivery_id: int, *, retry_at_ms: int | None) -> None:
        """Try again at `retry_at_ms`, or never (None): then the result waits in the history and is refunded."""
        await self._write(deliveries.failed, delivery_id, retry_at_ms, self._clock.now_ms())

    # ------------------------------------------------------------ credits
    async def balance(
        self, user_id: int, guild_id: int, allowance_mc: int, period: Literal["day", "month"] = "day"
    ) -> Balance:
        """Somebody's credits; an allowance not granted yet counts as granted."""
        return await self._read(accounts.balance, user_id, guild_id, allowance_mc, period, self._clock.now_ms())

    async def entries(self, user_id: int, guild_id: int, limit: int = 20) -> list[Entry]:
        """The newest lines of somebody's account."""
        return await self._read(accounts.entries, user_id, guild_id, limit)

    async def give_credits(self, user_id: int, guild_id: int, amount_mc: int, reason: str, idem: str) -> None:
        """Add credits that do not expire; the same `idem` counts once."""
        change = CreditChange(
            user_id=user_id,
            guild_id=guild_id,
            amount_mc=amount_mc,
            reason=reason,
            key=idem,
            now_ms=self._clock.now_ms(),
        )
        await self._write(transfers.give, change)

    # ------------------------------------------------------------ notes and upkeep
    async def remember(self, key: str, value: str) -> None:
        """Keep a small fact (the published commands' hash, the engine's knees)."""
        await self._write(key_values.remember, key, value)

    async def recall(self, key: str) -> str | None:
        return await self._read(key_values.recall, key)

    async def take(self, key: str) -> str | None:
        """Recall a note and forget it; of several callers one gets it."""
        return await self._write(key_values.take, key)

    async def problems(self) -> list[str]:
        """Rows of the `bad_*` views, which must stay empty: what `easel doctor` prints."""
        return await self._read(key_values.problems)

    async def backup(self, target: Path) -> None:
        """Write a consistent copy, also under load."""
        await asyncio.to_thread(backup, self._writer.path, target)

    async def erase_traces(self, user_id: int | None = None) -> None:
        """Overwrite what deleting left in the database's files, and drop old copies that hold this person.

        Other writes wait meanwhile: 117 MiB of database took 5 s on two busy cores.
        """
        await self._writer.run_alone(secure_erase.overwrite)
        if user_id is not None:
            await asyncio.to_thread(secure_erase.drop_backups_with, self._writer.path, user_id)

    async def drop_backups(self, before_ms: int) -> None:
        """Remove the copies that migrations made before `before_ms`."""
        await asyncio.to_thread(secure_erase.drop_backups_before, self._writer.path, before_ms)

    async def write(self, fn: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one function of the store's modules in a transaction; returns once it is on disk."""
        return await self._writer.run(lambda db: fn(db, *args, **kwargs))

    async def read(self, fn: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one function of the store's modules on a snapshot."""
        return await self._reader.run(lambda db: fn(db, *args, **kwargs))

    async def _write(self, fn: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._writer.run(lambda db: fn(db, *args, **kwargs))

    async def _read(self, fn: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._reader.run(lambda db: fn(db, *args, **kwargs))
