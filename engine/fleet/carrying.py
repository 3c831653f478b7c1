"""Carries a fleet's jobs: gives them to members, hands their events on, and takes them back when a member ends."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import Protocol

from PIL import Image

from engine.api.errors import (
    DeviceLost,
    EngineClosed,
    EngineError,
    EngineFault,
    GivenUp,
    InvalidSetup,
    QueueFull,
    WorkerLost,
)
from engine.api.events import (
    Cancelled,
    Event,
    Failed,
    Finished,
    ImageReady,
    Loading,
    Preview,
    Progress,
    Queued,
    Started,
)
from engine.api.recipe import Recipe
from engine.api.safety import UNCHECKED, Verdict, blurred
from engine.backend import Ticket
from engine.fleet.members import CRASH, FATAL, MOST_TRIES, FleetJob, Member

log = logging.getLogger(__name__)
OF_THE_WORKER = (WorkerLost, DeviceLost, EngineFault, EngineClosed, InvalidSetup)
PAUSE_S = 0.5  # before a job goes to a member that took none
REST_S = 2.0  # for a member whose engine has failed


class Owner(Protocol):
    """The fleet, as far as it's needed here."""

    @property
    def has_gate(self) -> bool: ...
    @property
    def judges(self) -> bool: ...
    async def check(self, image: Image.Image, *, adults: bool = False) -> Verdict: ...

    def end(self, job: FleetJob, event: Finished | Failed | Cancelled) -> None: ...
    def charge(self, job: FleetJob, seconds: float) -> None: ...
    def learn(self, member: Member, job: FleetJob, step_s: float) -> None: ...
    def soon(self) -> None: ...
    async def judge(self, image: Image.Image) -> Verdict: ...


class Carrying:
    """What happens to a job between two looks at who gets what."""

    def __init__(self, fleet: Owner) -> None:
        self._fleet = fleet
        self._tasks: set[asyncio.Task[None]] = set()
        self._weights: dict[str, tuple[str, str]] = {}  # by model: the hash, and whose it was that was told first
        self._others: set[tuple[str, str]] = set()  # models and members of which it was said that they differ

    async def close(self) -> None:
        """Hand nothing on any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def give(self, job: FleetJob, member: Member) -> None:
        """Give a waiting job to a member."""
        assert member.backend is not None
        try:
            inner = member.backend.submit(
                job.request, user=job.user, weight=job.weight, lane=job.lane, adults=job.adults
            )
        except (QueueFull, *OF_THE_WORKER):
            asyncio.get_running_loop().call_later(PAUSE_S, self._fleet.soon)
            return
        except EngineError as error:
            self._fleet.end(job, Failed(error=error))
            return
        job.give(member, inner)
        job.tries += 1
        task = asyncio.create_task(self._follow(job, member, inner), name=f"fleet-{job.number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self, job: FleetJob) -> None:
        """Whoever asked for it wants it no more."""
        job.cancelled = True
        if job.inner is not None:
            job.inner.cancel()
        else:
            self._fleet.end(job, Cancelled())

    def blame(self, member: Member, *, crashed: bool) -> None:
        """A member has ended: what was painted on it may be why, unless somebody else has ended it.

        A single job is; one of several may be.
        """
        if not crashed:
            return
        running = [job for job in member.held.values() if job.started is not None]
        for job in running:
            job.blame += CRASH if len(running) == 1 else 1

    # ------------------------------------------------------------ events
    async def _follow(self, job: FleetJob, member: Member, inner: Ticket) -> None:
        end: Finished | Failed | Cancelled = Cancelled()  # a ticket that ends without a word
        async for event in inner:
            if isinstance(event, Finished | Failed | Cancelled):
                end = event
                break
            await self._take(job, member, event)
        self._conclude(job, member, end)

    async def _take(self, job: FleetJob, member: Member, event: Event) -> None:
        now = time.perf_counter()
        if isinstance(event, ImageReady):
            self._compare(member, event.recipe)
        match event:
            case Queued():  # where it stands is told by the fleet
                return
            case Loading():
                job.loading = job.loading or now
            case Started():
                self._start(job, member, now)
                if job.first_start is not None:
                    return
                job.first_start = now
            case Progress(step=step):
                self._account(job, member, step, now)
            case Preview() if self._fleet.judges and not member.judges:
                return
            case ImageReady() if self._fleet.judges and not member.judges:
                event = await self._checked(event, adults=job.adults)
            case ImageReady() | Preview() if self._fleet.has_gate:
                event = await self._judged(event)
        job.tell(event)

    def _start(self, job: FleetJob, member: Member, now: float) -> None:
        job.started = now
        if job.loading is not None:
            member.loads[job.info.key] = now - job.loading
        if not any(each.started is not None for each in member.held.values() if each is not job):
            member.mark = now
        self._fleet.soon()

    def _account(self, job: FleetJob, member: Member, step: int, now: float) -> None:
        """Whatever the member did since it last told of a step, it did for this job's steps, or for all in turn."""
        spent, member.mark = max(0.0, now - member.mark), now
        job.seconds += spent
        job.steps_done = step
        self._fleet.charge(job, spent)
        if step:
            self._fleet.learn(member, job, job.seconds / step)

    def _compare(self, member: Member, recipe: Recipe) -> None:
        """Say once that two have different weights by one name: the same seed gives different pictures then."""
        sha256, first = self._weights.setdefault(recipe.model, (recipe.model_sha256, member.name))
        if sha256 != recipe.model_sha256 and (recipe.model, member.name) not in self._others:
            self._others.add((recipe.model, member.name))
            log.warning(
                "the workers %s and %s paint %s with different weights (%.12s, %.12s): have both use the same file, or "
                "give one of them another name",
                *(first, member.name, recipe.model, sha256, recipe.model_sha256),
            )

    async def _checked(self, event: ImageReady, *, adults: bool) -> Event:
        """Judged by the model that tells what is safe; where nobody can, it counts as flagged."""
        try:
            verdict = await self._fleet.check(event.image, adults=adults)
        except EngineError:
            verdict = Verdict(flagged=True, reason=UNCHECKED)
        return replace(event, flagged=verdict.flagged, reason=verdict.reason)

    async def _judged(self, event: ImageReady | Preview) -> Event:
        verdict = await self._fleet.judge(event.image)
        if not verdict.flagged:
            return event
        if isinstance(event, Preview):
            return replace(event, image=blurred(event.image), flagged=True)
        return replace(event, flagged=True, reason=verdict.reason)

    # ------------------------------------------------------------ ends
    def _conclude(self, job: FleetJob, member: Member, end: Finished | Failed | Cancelled) -> None:
        if isinstance(end, Failed) and isinstance(end.error, OF_THE_WORKER) and not isinstance(end.error, WorkerLost):
            self._let_rest(job, member)
        if job.holder is member:
            job.take_back()
        if isinstance(end, Finished):
            member.done += 1
            self._fleet.end(job, end)
        elif job.cancelled:
            self._fleet.end(job, Cancelled())
        elif isinstance(end, Cancelled):  # recalled, or by the worker, which wants to end
            self._fleet.soon()
        elif isinstance(end, Failed) and isinstance(end.error, OF_THE_WORKER):
            self._again(job, end.error)
        else:
            self._fleet.end(job, end)

    def _let_rest(self, job: FleetJob, member: Member) -> None:
        """It's there and can't paint now: it may come to itself, or be started again."""
        member.rests_until = time.monotonic() + REST_S
        asyncio.get_running_loop().call_later(REST_S, self._fleet.soon)
        if job.started is not None:
            job.blame += CRASH if len(member.held) == 1 else 1

    def _again(self, job: FleetJob, error: EngineError) -> None:
        """Let somebody else paint it, unless that has cost too many of them already."""
        if job.blame >= FATAL or (job.blame and job.tries >= MOST_TRIES):
            log.error("job %d was given up: each worker that painted it has ended", job.number)
            self._fleet.end(job, Failed(error=GivenUp()))
        elif job.tries >= 2 * MOST_TRIES:
            self._fleet.end(job, Failed(error=error))
        else:
            self._fleet.soon()
