"""One method for each thing that may happen to jobs, their pictures and deliveries. Knows no Discord.

Every method that changes something is one transaction: a job's state, its money and what is owed change together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from fractions import Fraction

from bot.jobs import deliveries, lifecycle, queue
from bot.jobs import images as image_rows
from bot.jobs.files import ImageFiles
from bot.jobs.records import InputImage, Job, NewImage, NewJob, OutboxEntry, Recovered, StoredImage
from bot.ledger.records import Limits
from bot.store.clock import Clock
from bot.store.store import Store

FILES_AT_ONCE = 200  # removed between two writes


class JobStore:
    """Jobs in the database.

    Attributes:
        queued: set whenever a job may have become ready to run. owed: set whenever a delivery was written. Whoever
            waits on one clears it first and looks then, so nothing is missed.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self.queued = asyncio.Event()
        self.owed = asyncio.Event()

    # ------------------------------------------------------------ jobs
    async def enqueue_all(self, new: Sequence[NewJob], allowance_mc: int, limits: Limits) -> list[Job]:
        """Grant the period's allowance if due, reserve the prices, queue the jobs: all of them, or none.

        The same interaction gives its jobs again. Raises: NotEnoughCredits, TooManyJobs, Busy, NotFound (parent or
        input picture gone).
        """
        queued = await self._store.write(lifecycle.enqueue_all, tuple(new), allowance_mc, limits, self._clock.now_ms())
        self.queued.set()
        return queued

    async def check_room(self, user_id: int, server_id: int, limits: Limits) -> None:
        """Raises: TooManyJobs, Busy, where one more job of somebody's wouldn't be queued."""
        await self._store.read(lifecycle.check_room, user_id, server_id, limits)

    async def bind_message(self, job_id: int, message_id: int) -> None:
        """Remember the progress message: delivering means editing it."""
        await self._store.write(lifecycle.bind_message, job_id, message_id)

    async def claim(self, boot_id: str, limit: int) -> list[Job]:
        """Take up to `limit` ready jobs, the fairest order first; each claim counts as an attempt."""
        return await self._store.write(queue.claim, boot_id, limit, self._clock.now_ms())

    async def requeue(self, job_id: int, boot_id: str, *, count_attempt: bool, delay_ms: int = 0) -> Job:
        """Put a running job back, to be claimed after `delay_ms`. Raises: NotRunning."""
        not_before = self._clock.now_ms() + delay_ms if delay_ms else 0
        job = await self._store.write(lifecycle.requeue, job_id, boot_id, count_attempt, not_before)
        self.queued.set()
        return job

    async def rendered(
        self, job_id: int, boot_id: str, new: Sequence[NewImage], withheld: Sequence[NewImage] = ()
    ) -> Job:
        """Store the pictures, take their share of the price, release the rest, owe the result. Raises: NotRunning.

        `withheld`: pictures that nobody may see; their files are to be removed.
        """
        now_ms = self._clock.now_ms()
        job = await self._store.write(lifecycle.rendered, job_id, boot_id, tuple(new), now_ms, tuple(withheld))
        self.owed.set()
        return job

    async def fail(self, job_id: int, boot_id: str, code: str, text: str) -> Job:
        """End a running job unpaid and owe its person the sentence `text`. Raises: NotRunning."""
        job = await self._store.write(lifecycle.fail, job_id, boot_id, code, text, self._clock.now_ms())
        self.owed.set()
        return job

    async def cancel(self, job_id: int, painted: Fraction = lifecycle.UNPAINTED) -> Job:
        """End a queued or running job; its member pays for the share of it that was `painted`.

        A job that ended already is returned as it is. Raises: NotFound.
        """
        job = await self._store.write(lifecycle.cancel, job_id, self._clock.now_ms(), painted)
        self.owed.set()
        return job

    async def recover(self, boot_id: str) -> Recovered:
        """At start: queue again what other processes were running, give up what was started three times."""
        recovered = await self._store.write(lifecycle.recover, boot_id, self._clock.now_ms())
        self.queued.set()
        self.owed.set()
        return recovered

    async def running_of(self, boot_id: str) -> list[int]:
        """Ids of the jobs that a process has claimed."""
        return await self._store.read(lifecycle.running_of, boot_id)

    async def take_up_again(self, boot_id: str, job_ids: Collection[int]) -> Recovered:
        """Queue again jobs of this process that it doesn't carry, give up what was started three times."""
        now_ms = self._clock.now_ms()
        recovered = await self._store.write(lifecycle.take_up_again, boot_id, frozenset(job_ids), now_ms)
        self.queued.set()
        self.owed.set()
        return recovered

    async def forget_expired(self) -> None:
        """Forget reply tokens and hashes of allowances whose time is over, and uploads that nobody used for an hour."""
        await self._store.write(lifecycle.forget_expired, self._clock.now_ms())

    async def delete_job(self, job_id: int, painted: Fraction = lifecycle.UNPAINTED) -> int:
        """Forget a job for its person: cancelled if active, prompt and pictures gone, credits history kept.

        Returns how many files are to be removed now, by `remove_ended_files`. Raises: NotFound.
        """
        return await self._store.write(lifecycle.delete, job_id, self._clock.now_ms(), painted)

    async def job(self, job_id: int) -> Job:
        """Raises: NotFound (also when deleted)."""
        return await self._store.read(lifecycle.get, job_id)

    async def job_of_image(self, image_id: int) -> tuple[Job, StoredImage]:
        """Raises: NotFound (also when deleted)."""
        return await self._store.read(image_rows.with_job, image_id)

    async def history(self, user_id: int, guild_id: int, before_id: int | None = None, limit: int = 10) -> list[Job]:
        """Somebody's jobs in a server, newest first, those before `before_id`."""
        return await self._store.read(lifecycle.history, user_id, guild_id, before_id, limit)

    async def active(self, user_id: int, guild_id: int) -> list[Job]:
        """Somebody's queued and running jobs in a server, in the order they will be served."""
        return await self._store.read(lifecycle.active, user_id, guild_id)

    async def active_in(self, guild_id: int | None) -> list[Job]:
        """Everybody's queued and running jobs in a server (None = in all), in the order they will be served."""
        return await self._store.read(lifecycle.active_in, guild_id)

    # ------------------------------------------------------------ the queue
    async def queue_length(self) -> int:
        """Jobs that wait."""
        return await self._store.read(queue.length)

    async def position(self, job_id: int) -> int | None:
        """How many jobs will be claimed before this one; None when it does not wait."""
        return await self._store.read(queue.position, job_id)

    async def next_ready_ms(self) -> int | None:
        """When the earliest waiting job may be claimed (epoch ms, 0 = now); None when none waits."""
        return await self._store.read(queue.next_ready_ms)

    async def pending(self) -> int:
        """Jobs that have not ended plus deliveries that are owed: 0 = nothing more will happen by itself."""
        return await self._store.read(queue.pending)

    # ------------------------------------------------------------ pictures
    async def images(self, job_id: int) -> list[StoredImage]:
        """A job's pictures in order."""
        return await self._store.read(image_rows.of_job, job_id)

    async def store_input(self, new: InputImage, user_id: int = 0, lost: str = "") -> str:
        """Remember a picture whose file is on disk; its sha256. The same picture twice is one row.

        `user_id`: who uploaded it, so that it is forgotten with them; 0 = nobody in particular. `lost`: the path of a
        file of the same picture that is gone.
        """
        return await self._store.write(image_rows.store_input, new, user_id, self._clock.now_ms(), lost)

    async def input_again(self, sha256: str, user_id: int = 0) -> str:
        """Note that a picture was uploaded again; its file's path, or "" when it is new."""
        return await self._store.write(image_rows.again, sha256, user_id, self._clock.now_ms())

    async def input_image(self, sha256: str) -> InputImage:
        """Raises: NotFound."""
        return await self._store.read(image_rows.input_image, sha256)

    async def remove_ended_files(self, files: ImageFiles) -> None:
        """Remove from the disk what nothing refers to any more; what can't be removed is tried again next time."""
        last = ""
        while paths := await self._store.read(image_rows.ended_files, last, FILES_AT_ONCE):
            await self._store.write(image_rows.files_removed, await files.delete(paths))
            last = paths[-1]

    # ------------------------------------------------------------ deliveries
    async def due_deliveries(self, limit: int = 20) -> list[OutboxEntry]:
        """What is owed and may be tried now, oldest first."""
        return await self._store.read(deliveries.due, self._clock.now_ms(), limit)

    async def next_delivery_ms(self) -> int | None:
        """When the next owed delivery may be tried (epoch ms); None when nothing is owed."""
        return await self._store.read(deliveries.next_ms)

    async def delivered(self, delivery_id: int, message_id: int | None, lost: Sequence[int] = ()) -> None:
        """The person has it: the job is done, its reply token forgotten. Idempotent.

        `lost`: ids of pictures that couldn't be delivered, whose share of the price is given back.
        """
        await self._store.write(deliveries.delivered, delivery_id, message_id, tuple(lost), self._clock.now_ms())

    async def pictures_lost(self, delivery_id: int) -> None:
        """No picture of a result is left: the job fails, is refunded, and its person is told why."""
        await self._store.write(deliveries.pictures_lost, delivery_id, self._clock.now_ms())
        self.owed.set()

    async def hand_over(self, job_id: int, allowance_mc: int, limits: Limits) -> Job:
        """Take the price of a result that could not be delivered, for its member gets it now.

        Raises: NotFound, NotEnoughCredits.
        """
        return await self._store.write(lifecycle.hand_over, job_id, allowance_mc, limits, self._clock.now_ms())

    async def undelivered(self, guild_id: int | None, limit: int) -> list[Job]:
        """Jobs of a server (None = of all) whose pictures could not be delivered, newest first."""
        return [await self.job(each) for each in await self._store.read(deliveries.undelivered, guild_id, limit)]

    async def delivery_postponed(self, delivery_id: int, *, until_ms: int) -> None:
        """It couldn't be tried at all, for want of the disk: it isn't counted as a try."""
        await self._store.write(deliveries.postponed, delivery_id, until_ms)

    async def delivery_failed(self, delivery_id: int, *, retry_at_ms: int | None) -> None:
        """Try again at `retry_at_ms`, or never (None): then the result waits in the history and is refunded."""
        await self._store.write(deliveries.failed, delivery_id, retry_at_ms, self._clock.now_ms())
