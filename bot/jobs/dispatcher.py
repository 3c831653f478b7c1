"""Carries jobs from the durable queue through the engine to their end. Knows no Discord.

Each job in the engine is a task: claim -> run -> rendered | failed | queued again. Whatever happens to this process, a
job is in the database in a state from which the next start goes on.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from fractions import Fraction
from functools import partial

from bot.config import Settings
from bot.errors import Busy, UserError
from bot.jobs import lifecycle
from bot.jobs.event_relay import Listener, Relay
from bot.jobs.files import ImageFiles
from bot.jobs.records import FAILED, Job, NewImage
from bot.jobs.run import Outcome, Run
from bot.jobs.store import JobStore
from bot.languages.speech import N_
from bot.loops import Loop
from bot.store.async_wait import first_of, seconds_until, until_written
from bot.store.clock import Clock
from bot.store.errors import NotRunning
from engine.api.errors import EngineClosed, QueueFull
from engine.api.events import Cancelled, Failed, Queued
from engine.backend import Backend

log = logging.getLogger(__name__)
RETRY_DELAYS_S = (0.0, 5.0, 30.0)  # before attempt 1, 2, 3; a fourth start never happens
ENGINE_AWAY_S = 1.0  # pause when the engine takes nothing, so that jobs do not turn in circles
ALL_WITHHELD = N_("The safety check withheld every picture of this job. Try other words.")
UNREADABLE = N_("This job was stored in a form that this version of Easel can't read. Ask for it again.")
DISK_FAILED = N_("The pictures that this starts from can't be read from the disk. Tell whoever runs this bot.")
CANCEL_S = 5.0  # what an engine gets to reach a step boundary at shutdown

ImageFilter = Callable[[Job, Sequence[NewImage]], Awaitable[tuple[NewImage, ...]]]
"""Which of a job's pictures may be delivered."""


async def withhold(_job: Job, images: Sequence[NewImage]) -> tuple[NewImage, ...]:
    """Return the pictures nobody objects to: what holds without any rules."""
    return tuple(image for image in images if not image.flagged)


class Dispatcher:
    """Owns the running jobs of this process, which `boot_id` names.

    Attributes:
        engine_failed: whether the engine paints no more, so that nothing is to be waited for at the end.
    """

    def __init__(
        self,
        store: JobStore,
        backend: Backend,
        files: ImageFiles,
        listener: Listener,
        settings: Settings,
        clock: Clock,
        boot_id: str | None = None,
        filter_flagged: ImageFilter = withhold,
    ) -> None:
        self._store, self._backend, self._files, self._listener = store, backend, files, listener
        self._settings, self._clock = settings, clock
        self.boot_id = boot_id or secrets.token_hex(8)
        self._filter_flagged = filter_flagged
        self.stopping = self.engine_failed = self.draining = False
        self._runs: dict[int, tuple[Run, asyncio.Task[None]]] = {}
        self.loop = Loop("dispatcher", self._serve)
        self._claiming: asyncio.Task[None] | None = None

    @property
    def running(self) -> frozenset[int]:
        """Ids of the jobs in the engine."""
        return frozenset(self._runs)

    def painted(self, job_id: int) -> Fraction:
        """How much of a job's steps are done; nothing of one that this process doesn't run."""
        return self._runs[job_id][0].painted if job_id in self._runs else lifecycle.UNPAINTED

    async def start(self) -> None:
        """Take over what a dead process left, then serve the queue. Idempotent."""
        if self.loop.wanted:
            return
        recovered = await self._store.recover(self.boot_id)
        if recovered.requeued or recovered.failed:
            log.info("recovered: %d jobs queued again, %d given up", len(recovered.requeued), len(recovered.failed))
        self.loop.start()

    async def stop(self, grace_s: float = 0.0) -> None:
        """Claim no more, let what is being painted finish for `grace_s`, queue the rest again uncounted."""
        self.stopping = True
        await self.loop.stop()
        if self._claiming is not None:
            await asyncio.wait([self._claiming], timeout=CANCEL_S)
        self._give_up(started=False)  # what waits inside the engine would only slow down what can finish
        await self._wait(0 if self.engine_failed else grace_s)
        self._give_up(started=True)
        await self._wait(CANCEL_S)
        for run, task in tuple(self._runs.values()):  # an engine that hangs, or is in the middle of a long step
            await self._tell_it_waits(run)
            if not self.engine_failed:  # else it may be why: the next start takes it up, and counts that
                with suppress(NotRunning, sqlite3.Error):  # likewise
                    await self._store.requeue(run.job.id, self.boot_id, count_attempt=False)
            task.cancel()
        await self._wait(CANCEL_S)

    def drain(self, wanted: bool) -> None:
        """Claim no more and queue again what the engine hasn't begun, for as long as that is wanted. Idempotent."""
        if wanted:
            self._give_up(started=False)
        elif self.draining:
            self._store.queued.set()
        self.draining = wanted

    async def abort(self, job_id: int) -> None:
        """Stop painting a job and showing its progress; harmless when it does not run."""
        if job_id in self._runs:
            run, _ = self._runs[job_id]
            run.unwanted = True
            run.cancel()
            await run.relay.hush()

    @asynccontextmanager
    async def ending(self, job_ids: Collection[int]) -> AsyncIterator[None]:
        """Hold the jobs' progress back while the block writes their end, then stop painting them.

        When the block fails they go on as if nothing had happened. Jobs that don't run here are passed over.
        """
        relays = [self._runs[job_id][0].relay for job_id in job_ids if job_id in self._runs]
        await asyncio.gather(*(relay.hush() for relay in relays))  # no progress may cover the notice that is owed
        try:
            yield
        except BaseException:  # also when it is called off: the jobs go on, and must be shown
            for relay in relays:
                relay.resume()
            raise
        for job_id in job_ids:  # also those that were claimed in between
            await self.abort(job_id)

    async def ended(self, job_ids: Iterable[int], timeout_s: float = CANCEL_S) -> None:
        """Return once this process has done with these jobs, their files included."""
        tasks = [self._runs[job_id][1] for job_id in job_ids if job_id in self._runs]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)

    def _give_up(self, *, started: bool) -> None:
        for run, _ in self._runs.values():
            if run.started is started and not run.draining:
                run.draining = True
                run.cancel()

    async def _wait(self, seconds: float) -> None:
        if tasks := [task for _, task in self._runs.values()]:
            await asyncio.wait(tasks, timeout=seconds)

    async def _serve(self) -> None:
        self._store.queued.clear()
        await self._fill()
        idle_s = await self._idle_s()
        await first_of(self._store.queued.wait(), timeout_s=idle_s)

    async def _fill(self) -> None:
        room = self._most_running - len(self._runs)
        if room > 0 and not self.draining:
            self._claiming = asyncio.create_task(self._claim(room), name="claiming")
            await asyncio.shield(self._claiming)

    @property
    def _most_running(self) -> int:
        """Jobs that the engine gets at once: so many for each, where it is several."""
        up = sum(worker.up and not worker.drained for worker in self._backend.status().workers)
        return self._settings.max_running * max(1, up)

    async def _claim(self, room: int) -> None:
        """Take jobs and carry them: two things of which a shutdown must not leave one undone."""
        for job in await self._store.claim(self.boot_id, room):
            run = Run(job=job, relay=Relay(self._listener, job), watermark=self._settings.watermark)
            task = asyncio.create_task(self._carry(run), name=f"job-{job.id}")
            self._runs[job.id] = run, task
            task.add_done_callback(partial(self._ended, job.id))

    def _ended(self, job_id: int, _: asyncio.Task[None]) -> None:
        self._runs.pop(job_id, None)
        self._store.queued.set()  # there is room now

    async def _idle_s(self) -> float:
        full = len(self._runs) >= self._most_running
        return seconds_until(self._clock, None if full else await self._store.next_ready_ms())

    async def _carry(self, run: Run) -> None:
        """Bring one job to an end, or back into the queue."""
        if run.job.unreadable:
            await self._fail(run.job, "unreadable", UNREADABLE)
            return
        try:
            await self._conclude(run, await run.go(self._store, self._backend, self._files))
        except NotRunning:
            log.info("job %d was cancelled while it ran", run.job.id)
            await run.discard(self._files)
        except Busy:  # the disk is behind
            await self._again(run, count_attempt=False, delay_s=ENGINE_AWAY_S)
        except UserError as error:  # its input picture is gone
            await self._fail(run.job, error.code, str(error))
        except (OSError, sqlite3.OperationalError):  # the disk, before anything was painted
            log.warning("job %d could not be read from the disk", run.job.id, exc_info=True)
            await self._retry(run)
        except Exception:  # the outer edge of a job: a bug in one must not stop the others
            reference = secrets.token_hex(4)
            log.exception("job %d failed (reference %s)", run.job.id, reference)
            await self._fail(run.job, "internal", FAILED.format(reference=reference))

    async def _conclude(self, run: Run, outcome: Outcome) -> None:
        if isinstance(outcome.end, Cancelled) and run.draining:
            await self._again(run, count_attempt=False, delay_s=0)
        elif isinstance(outcome.end, Cancelled):
            await run.discard(self._files)
            await until_written(lambda: self._store.cancel(run.job.id))
        elif isinstance(outcome.end, Failed):
            await self._failed(run, outcome, outcome.end)
        else:
            await self._finish(run.job, outcome.images)

    async def _finish(self, job: Job, images: Sequence[NewImage]) -> None:
        """Owe what may be delivered, unless that is nothing."""
        kept = await until_written(lambda: self._filter_flagged(job, images))
        if kept:
            withheld = [image for image in images if image not in kept]
            await until_written(lambda: self._store.rendered(job.id, self.boot_id, kept, withheld))
            if withheld:
                await self._store.remove_ended_files(self._files)
        else:
            await self._fail(job, "unsafe", ALL_WITHHELD)

    async def _failed(self, run: Run, outcome: Outcome, end: Failed) -> None:
        """Retry what a retry may mend; else deliver what is ready; else say what went wrong."""
        job, error = run.job, end.error
        if isinstance(error, EngineClosed | QueueFull):
            await self._again(run, count_attempt=False, delay_s=ENGINE_AWAY_S)
        elif error.retryable and job.attempts < len(RETRY_DELAYS_S):
            await self._retry(run)
        elif outcome.images:
            await self._finish(job, outcome.images)
        else:
            await self._fail(job, error.code, str(error))

    async def _retry(self, run: Run) -> None:
        """Paint it again a little later; the third attempt was the last."""
        if run.job.attempts < len(RETRY_DELAYS_S):
            await self._again(run, count_attempt=True, delay_s=RETRY_DELAYS_S[run.job.attempts])
        else:
            await self._fail(run.job, "internal", DISK_FAILED)

    async def _again(self, run: Run, *, count_attempt: bool, delay_s: float) -> None:
        await run.discard(self._files)  # first: the next attempt writes the same names
        await self._tell_it_waits(run)
        job_id, delay_ms = run.job.id, int(delay_s * 1000)
        await until_written(
            lambda: self._store.requeue(job_id, self.boot_id, count_attempt=count_attempt, delay_ms=delay_ms)
        )

    async def _tell_it_waits(self, run: Run) -> None:
        """Its message must not go on saying that it's being painted, for as long as nobody does.

        To be called while it's this process's: what is delivered afterwards ends what is shown here.
        """
        if run.started and not run.unwanted:
            await Relay(self._listener, run.job).close(Queued(position=0, eta_s=None))

    async def _fail(self, job: Job, code: str, text: str) -> None:
        try:
            await until_written(lambda: self._store.fail(job.id, self.boot_id, code, text))
            await self._store.remove_ended_files(self._files)
        except NotRunning:
            log.info("job %d was cancelled when it failed", job.id)
        except sqlite3.Error:  # the reconciler finds that nobody carries it
            log.exception("the end of job %d could not be noted", job.id)
