"""Several engines as one: one queue, one fairness, and each job where it will be done first. Knows no torch.

Whoever is to be served next is decided here, over all engines; each of them joins the steps of the jobs it was given. A
job is a pure function of its request, so one whose worker ends is painted again elsewhere, to the same pictures.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from PIL import Image

from engine.api import safety as picture_safety
from engine.api.errors import (
    NO_CAPTIONER,
    NO_HELPER,
    NO_SEGMENTER,
    EngineClosed,
    EngineError,
    InvalidRequest,
    QueueFull,
    UnknownModel,
    WorkerLost,
)
from engine.api.events import Cancelled, Failed, Finished, Queued
from engine.api.inspection import Inspectable, Inspection, together
from engine.api.left_out import LeftOut
from engine.api.model_info import ModelInfo
from engine.api.rewriting import Aim
from engine.api.safety import ImageGate, Verdict
from engine.api.tickets import JobTicket
from engine.backend import Ability, Backend, EngineStatus
from engine.fleet import routing
from engine.fleet.carrying import Carrying
from engine.fleet.judging import Judge
from engine.fleet.machines.remembering import Remembered
from engine.fleet.members import FleetJob, Member
from engine.fleet.process import WorkerProcess, WorkerSpec
from engine.fleet.queue import FleetQueue
from engine.fleet.remote_engine import RemoteEngine
from engine.runtime import policy
from engine.tasks import resolve
from engine.tasks.txt2img import Txt2Img

T = TypeVar("T")
log = logging.getLogger(__name__)
TURN_S = 0.01  # what happens within is looked at once
POSITIONS_S = 1.0  # how often waiting jobs are told where they stand
BUSY_RETRY_S = 30.0  # told when the queue is full
ASKED_TWICE = 2  # a question whose worker ends is put to another one


class Fleet:
    """Implements `engine.Backend` over others.

    Args:
        specs: the workers that it runs itself, each a process. catalogue: an engine that is never started and knows
            what these can do, before one of them runs. members: other engines, which are started and closed with it.
        max_queue: jobs that may wait or run. gate: see `engine.Engine`; it's asked here, whoever has painted.
        memory: what members that come and go could do, so that what is asked of them waits until they are back.
        judge: judges pictures here, where no engine of this machine does.
    """

    def __init__(
        self,
        specs: Sequence[WorkerSpec] = (),
        *,
        catalogue: Backend | None = None,
        members: Sequence[Member] = (),
        max_queue: int = 10_000,
        gate: ImageGate | None = None,
        memory: Remembered | None = None,
        judge: Judge | None = None,
    ) -> None:
        self._catalogue, self._max_queue, self._gate, self._memory = catalogue, max_queue, gate, memory
        self._judge = judge
        self.members: list[Member] = [
            *(Member(spec.name, own=True, problem="it is starting") for spec in specs),
            *members,
        ]
        self.processes = [WorkerProcess(spec, self) for spec in specs]
        self._numbers = itertools.count(1)
        self._queue = FleetQueue()
        self.jobs, self.learn, self.left_s = self._queue.jobs, self._queue.learn, self._queue.left_s
        self._carrying = Carrying(self)
        self._turning: asyncio.TimerHandle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._rank: dict[int, int] = {}
        self._told_at = 0.0
        self._started = self._closed = False
        self._drained: frozenset[str] = frozenset()
        self.rounds = 1

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.close()

    # ------------------------------------------------------------ life
    async def start(self) -> None:
        if self._closed:
            raise EngineClosed()
        if not self._started:
            self._started = True
            for process in self.processes:
                process.start()
            for member in self.members:
                if member.backend is not None:
                    await member.backend.start()
            self.changed()

    async def close(self, grace_s: float = 0.0) -> None:
        self._closed = True
        for timer in (self._turning, self._ticking):
            if timer is not None:
                timer.cancel()
        for job in [each for each in self.jobs.values() if each.waits]:
            self.end(job, Failed(error=EngineClosed()))
        closing = [process.close(grace_s) for process in self.processes]
        closing += [member.backend.close(grace_s) for member in self.members if member.backend is not None]
        await asyncio.gather(*closing, return_exceptions=True)
        for job in [*self.jobs.values()]:
            self.end(job, Failed(error=EngineClosed()))
        await self._carrying.close()

    # ------------------------------------------------------------ members come and go
    def member(self, name: str) -> Member:
        """The one of that name. Raises: StopIteration."""
        return next(each for each in self.members if each.name == name)

    def up(self, name: str, engine: RemoteEngine, token: str = "") -> None:
        """A worker takes jobs from now on; one that nobody knew yet joins. `token`: of one that has dialled in."""
        member = next((each for each in self.members if each.name == name), None)
        if member is None:
            member = Member(name, here=False, token=token, drained=not self._drained.isdisjoint((name, token)))
            self.members.append(member)
        member.backend, member.problem, member.hopeless, member.rests_until = engine, "", False, 0.0
        log.info("the worker %s is there", name)
        self.changed()

    def down(self, name: str, why: str, *, crashed: bool, hopeless: bool) -> None:
        """A worker is gone, and its jobs with it: they hear it from their tickets."""
        member = self.member(name)
        member.backend, member.problem, member.hopeless = None, why, hopeless
        if not member.drained:
            member.ends, member.last_end = member.ends + 1, why
        self._carrying.blame(member, crashed=crashed)
        if not member.here:
            self.members.remove(member)
        self.changed()

    def drain(self, names: Collection[str]) -> None:
        """Give workers of these names no more jobs, all others as before. What they haven't begun goes to others.

        The name of a token stands for whoever has dialled in with it: one that comes back may have another name.

        One that this machine runs is ended once it has nothing left to do, and started when its name is no longer here.
        """
        self._drained = frozenset(names)
        for member in self.members:
            member.drained = not self._drained.isdisjoint((member.name, member.token))
        for process in self.processes:
            if process.spec.name not in self._drained:
                process.wake()
            elif self.member(process.spec.name).backend is None:
                process.rest()
        self.soon()

    def keep(self, tokens: Collection[str]) -> None:
        """Workers with other tokens come no more: what they alone could do is forgotten, and no job waits for it."""
        if self._memory is not None and self._memory.keep(tokens):
            known = {info.key: info for info in self.models()}
            for job in [each for each in self.jobs.values() if each.waits and each.info.key not in known]:
                self.end(job, Failed(error=UnknownModel(name=job.info.key, known=", ".join(known))))

    def changed(self) -> None:
        """Something happened: look soon who gets what."""
        for member in self.members:
            if member.backend is not None:
                member.models = member.backend.models()
                if self._memory is not None and not member.here:
                    self._memory.note(member.token, member.name, member.models)
        self.soon()

    def soon(self) -> None:
        """Look soon who gets what."""
        if self._turning is None and not self._closed and self._started:
            self._turning = asyncio.get_running_loop().call_later(TURN_S, self._turn)

    # ------------------------------------------------------------ jobs
    def submit(
        self, request: Txt2Img, *, user: str = "", weight: float = 1.0, lane: str = "fast", adults: bool = False
    ) -> JobTicket:
        if self._closed:
            raise EngineClosed()
        policy.check_share(lane, weight)
        if len(self.jobs) >= self._max_queue:
            raise QueueFull(retry_after_s=BUSY_RETRY_S)
        info = resolve.find(self.models(), request.model)
        request = resolve.complete(request, info)
        number = next(self._numbers)
        ticket = JobTicket(lambda: self._carrying.cancel(job))
        job = FleetJob(number, request, info, user, weight, lane, ticket, adults)
        job.tell(Queued(position=len(self.jobs), eta_s=None))
        self._queue.enter(job)
        self.soon()
        return job.ticket

    def end(self, job: FleetJob, event: Finished | Failed | Cancelled) -> None:
        """A job has ended; once."""
        if job.number in self.jobs:
            job.take_back()
            self._queue.leave(job)
            job.end(event)
        self.soon()

    def charge(self, job: FleetJob, seconds: float) -> None:
        """A job had so much of a device."""
        if job.number in self.jobs:
            self.rounds += 1
            self._queue.spent(job, seconds)

    def _turn(self) -> None:
        self._turning = None
        order = self._queue.order()
        self._rank = {job.number: place for place, job in enumerate(order)}
        plan = routing.Plan(order, self.members, self._rank, self._queue.pace)
        for job in order:
            if job.waits and (member := plan.best(job)) is not None:
                self._carrying.give(job, member)
                plan.given(job)
            if plan.full:
                break
        for member in self.members:
            if member.draining:
                self._empty(member)
            elif member.takes_jobs and not member.held and (movable := plan.movable(member)) is not None:
                movable.recall()
        if time.perf_counter() - self._told_at > POSITIONS_S or any(
            job.told is None and job.started is None for job in order
        ):
            self._tell_positions(order)
        if self.jobs and self._ticking is None:
            self._ticking = asyncio.get_running_loop().call_later(POSITIONS_S, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        self.soon()

    def _empty(self, member: Member) -> None:
        """Take back what it hasn't begun; without jobs a process of this machine's ends."""
        for job in member.held.values():
            if job.started is None and job.loading is None:
                job.recall()
        for process in self.processes:
            if process.spec.name == member.name and not member.held:
                process.rest()

    def _tell_positions(self, order: Sequence[FleetJob]) -> None:
        self._told_at = time.perf_counter()
        ends = routing.ends_s(order, self.members)
        for position, job in enumerate(order):
            told = Queued(position=position, eta_s=ends[job.number])
            if job.started is None and job.loading is None and told != job.told:
                job.told = told
                job.tell(told)

    # ------------------------------------------------------------ what they can do
    def _backends(self) -> list[Backend]:
        return [member.backend for member in self.members if member.backend is not None]

    def models(self) -> tuple[ModelInfo, ...]:
        """Of all, this machine's first; where two have one of the same name, as the first of them describes it."""
        for member in self.members:
            if member.backend is not None:
                member.models = member.backend.models()
        known = () if self._catalogue is None else self._catalogue.models()
        first: dict[str, ModelInfo] = {}
        for info in (info for member in self.members for info in member.models):
            first.setdefault(info.key, info)
        away = {} if self._memory is None else self._memory.models
        here = (info.key for member in self.members if member.here for info in member.models)
        every = {**away, **{info.key: info for info in known}, **first}
        return tuple(every[key] for key in dict.fromkeys([*(info.key for info in known), *here, *away, *first]))

    def left_out(self) -> tuple[LeftOut, ...]:
        told = () if self._catalogue is None else self._catalogue.left_out()
        return tuple(dict.fromkeys([*told, *(each for backend in self._backends() for each in backend.left_out())]))

    def abilities(self) -> frozenset[Ability]:
        own: frozenset[Ability] = frozenset({"safety"} if self._gate or self._judge else ())
        known = [] if self._catalogue is None else [self._catalogue.abilities()]
        return own.union(*known, *(backend.abilities() for backend in self._backends()))

    async def describe(self, image: Image.Image) -> list[str]:
        return await self._ask("describe", InvalidRequest(*NO_CAPTIONER), lambda engine: engine.describe(image))

    async def weigh(self, prompt: str, model: str) -> list[tuple[str, float]]:
        knows = partial(_knows, model)
        return await self._ask("", WorkerLost(), lambda engine: engine.weigh(prompt, model), knows)

    async def rewrite(self, text: str, aim: Aim) -> str:
        return await self._ask("rewrite", InvalidRequest(*NO_HELPER), lambda engine: engine.rewrite(text, aim))

    async def segment(self, image: Image.Image, what: str) -> Image.Image:
        return await self._ask("segment", InvalidRequest(*NO_SEGMENTER), lambda engine: engine.segment(image, what))

    async def check(self, image: Image.Image, *, adults: bool = False) -> Verdict:
        verdict = await self.judge(image)
        if verdict.flagged or not self.judges:
            return verdict
        if self._judge is not None:
            return await self._judge(image, adults=adults)
        return await self._ask("safety", WorkerLost(), lambda engine: engine.check(image, adults=adults))

    async def judge(self, image: Image.Image) -> Verdict:
        """What the gate says of a picture."""
        if self._gate is None:
            return picture_safety.FINE
        return await asyncio.get_running_loop().run_in_executor(None, picture_safety.ask, self._gate, image)

    @property
    def has_gate(self) -> bool:
        return self._gate is not None

    @property
    def judges(self) -> bool:
        """Whether a model judges pictures: those of members that don't judge theirs, and uploads."""
        able = self._backends() if self._catalogue is None else [self._catalogue]
        return self._judge is not None or any("safety" in each.abilities() for each in able)

    async def _ask(
        self,
        ability: Ability | str,
        refusal: EngineError,
        question: Callable[[Backend], Awaitable[T]],
        knows: Callable[[Member], bool] = lambda member: True,
    ) -> T:
        """Ask whoever can answer and has least to do; another one when it ends. Raises: EngineError."""
        for _ in range(ASKED_TWICE):
            able = [member for member in self.members if member.backend is not None and knows(member)]
            able = [each for each in able if not ability or ability in each.backend.abilities()]  # type: ignore[union-attr]
            if not able:
                break
            backend = min(able, key=lambda member: len(member.held)).backend
            assert backend is not None
            with suppress(WorkerLost):
                return await question(backend)
        starting = any(member.backend is None for member in self.members)
        raise WorkerLost() if starting else refusal

    async def inspect(self) -> Inspection:
        """What is inside of each worker, and of all together. Raises: EngineError."""
        telling = [each for each in self.members if isinstance(each.backend, Inspectable)]
        told = await asyncio.gather(*(_inside(each.backend) for each in telling), return_exceptions=True)
        names = (each.name for each in telling)
        return together({name: each for name, each in zip(names, told, strict=True) if isinstance(each, Inspection)})

    def status(self) -> EngineStatus:
        told = [backend.status() for backend in self._backends()]
        started = sum(job.started is not None for job in self.jobs.values())
        facts: dict[str, object] = {"rounds": self.rounds + sum(int(each.facts.get("rounds", 0)) for each in told)}
        facts["memory_bytes"] = sum(int(each.facts.get("memory_bytes", 0)) for each in told)
        if self.members and all(member.hopeless for member in self.members):
            facts["lost"] = self.members[0].problem
        return EngineStatus(
            device=told[0].device if told else EngineStatus().device,
            dtype=told[0].dtype if told else EngineStatus().dtype,
            mode=told[0].mode if told else EngineStatus().mode,
            loaded=tuple(dict.fromkeys(key for each in told for key in each.loaded)),
            queued=len(self.jobs) - started,
            running=started,
            facts=facts,
            memory={key: kept for each in reversed(told) for key, kept in each.memory.items()},
            workers=tuple(member.status() for member in self.members),
        )


def _knows(model: str, member: Member) -> bool:
    return any(info.key == model for info in member.models)


async def _inside(engine: object) -> Inspection:
    assert isinstance(engine, Inspectable)
    return await engine.inspect()
