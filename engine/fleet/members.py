"""The engines of a fleet and the jobs that they hold, as plain records. Knows no torch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property

from engine.api.errors import EngineError
from engine.api.events import Cancelled, Event, Failed, Finished, ImageReady, Queued
from engine.api.model_info import ModelInfo
from engine.api.tickets import JobTicket
from engine.backend import Backend, Ticket, WorkerStatus
from engine.runtime.policy import StepTimes
from engine.tasks import resolve
from engine.tasks.txt2img import Txt2Img

GUESS_S_PER_PIXEL = 1e-6  # of a step, before any was measured; only the order matters then
LOAD_S = 5.0  # to get a model into memory, before any was measured
CRASH = 4  # what a job is to blame for a worker that ended by itself, or by the system for the memory that it took
FATAL = 8  # of that blame, and it's given up
MOST_TRIES = 12  # of a job whose workers end, whoever is to blame


@dataclass(eq=False)
class Member:
    """One engine of a fleet.

    Attributes:
        backend: None while it's down, for the reason that `problem` tells. pace: how long steps take on it.
        foreign: it's no engine of Easel's. held: the jobs that it was given,
        by number. drained: it's given no more, because somebody wants that. here: it's kept on this machine.
        own: it's a process that the fleet runs. token: the name of the one that it has dialled in with.
        last_end: why it was gone the last time.
        mark: when it was last known to be at work, to tell whose the seconds since are. loads: seconds by model.
    """

    name: str
    backend: Backend | None = None
    here: bool = True
    own: bool = False
    token: str = ""
    foreign: bool = False
    problem: str = ""
    hopeless: bool = False
    drained: bool = False
    rests_until: float = 0.0  # its engine failed, and may come to itself
    pace: StepTimes = field(default_factory=StepTimes)
    held: dict[int, FleetJob] = field(default_factory=dict)
    loads: dict[str, float] = field(default_factory=dict)
    mark: float = 0.0
    ends: int = 0
    last_end: str = ""
    done: int = 0
    models: tuple[ModelInfo, ...] = ()

    @property
    def takes_jobs(self) -> bool:
        return self.backend is not None and not self.draining and time.monotonic() >= self.rests_until

    @property
    def draining(self) -> bool:
        """Whether it's to have no more jobs: people want that, or it's about to leave by itself."""
        return self.drained or (self.backend is not None and bool(self.backend.status().facts.get("leaving")))

    def can(self, job: FleetJob) -> bool:
        """Whether it knows all that the job needs."""
        for info in self.models:
            if info.key == job.request.model:
                return info is job.info or info == job.info or _completes(job.request, info)
        return False

    @property
    def judges(self) -> bool:
        """Whether its pictures come judged; one elsewhere may be set up to judge none."""
        return not self.foreign and self.backend is not None and "safety" in self.backend.abilities()

    def in_memory(self) -> frozenset[str]:
        """The models that it needn't load: what it told, and what it has begun to paint with since."""
        told = self.backend.status().loaded if self.backend is not None else ()
        return frozenset(told).union(job.info.key for job in self.held.values() if job.started is not None)

    @property
    def usual_load_s(self) -> float:
        """Of a model that it hasn't loaded yet: as long as those that it has."""
        return max(self.loads.values(), default=LOAD_S)

    def free_bytes(self) -> int:
        return int(self.backend.status().facts.get("free_bytes", 0)) if self.backend is not None else 0

    def status(self) -> WorkerStatus:
        """How it is, for people."""
        started = sum(job.started is not None for job in self.held.values())
        told = self.backend.status() if self.backend is not None else None
        return WorkerStatus(
            name=self.name,
            device=told.device if told is not None else "",
            own=self.own,
            up=self.backend is not None,
            drained=self.draining,
            problem=self.problem,
            models=tuple(info.key for info in self.models),
            loaded=told.loaded if told is not None else (),
            running=started,
            queued=len(self.held) - started,
            memory_bytes=int(told.facts.get("memory_bytes", 0)) if told is not None else 0,
            free_bytes=self.free_bytes(),
            ends=self.ends,
            last_end=self.last_end,
            done=self.done,
        )


@dataclass(eq=False)
class FleetJob:
    """A job of the whole fleet, wherever it is painted. `request` is complete, so every try paints the same.

    Attributes:
        holder, inner: who has it, and its ticket there. blame: for workers that ended while it ran. recalled: it's to
        be given to somebody else. shown: pictures that were handed on, so that no try hands them on again.
    """

    number: int
    request: Txt2Img
    info: ModelInfo
    user: str
    weight: float
    lane: str
    ticket: JobTicket
    adults: bool = False
    holder: Member | None = None
    inner: Ticket | None = None
    submitted: float = field(default_factory=time.perf_counter)
    given: float = 0.0
    started: float | None = None  # on this try
    first_start: float | None = None
    loading: float | None = None
    steps_done: int = 0
    seconds: float = 0.0  # of its holder, on this try
    blame: int = 0
    tries: int = 0
    cancelled: bool = False
    recalled: bool = False
    shown: set[int] = field(default_factory=set)
    told: Queued | None = None

    @property
    def waits(self) -> bool:
        return self.holder is None and not self.ticket.ended

    @property
    def movable(self) -> bool:
        """Whether its holder may be asked to give it back."""
        return self.started is None and not (self.recalled or self.cancelled or self.blame)

    @property
    def loading_s(self) -> float:
        """For how long its model has been on its way into memory."""
        return 0.0 if self.loading is None else time.perf_counter() - self.loading

    @cached_property
    def calls(self) -> int:
        """Denoiser calls of all its pictures."""
        return max(1, self.request.calls_run(self.info) * self.request.parts(self.info) * self.request.draws)

    @cached_property
    def pixels(self) -> int:
        """What a call's seconds depend on: guidance paints twice."""
        width, height = self.request.canvas(self.info)
        return width * height * (2 if (self.request.guidance_scale or 0) > 1 else 1)

    @cached_property
    def rows(self) -> int:
        """What it brings to a batch."""
        return self.request.draws * (2 if (self.request.guidance_scale or 0) > 1 else 1)

    def known_step_s(self, pace: StepTimes) -> float | None:
        return pace.seconds(self.info.key, self.pixels)

    def step_s(self, pace: StepTimes) -> float:
        """Seconds of a call, as far as is known."""
        known = self.known_step_s(pace)
        return self.pixels * GUESS_S_PER_PIXEL if known is None else known

    def left_s(self, pace: StepTimes) -> float:
        """Device seconds to go."""
        return max(1, self.calls - self.steps_done) * self.step_s(pace)

    # ------------------------------------------------------------ on its way
    def give(self, holder: Member, inner: Ticket) -> None:
        """Somebody else has it from now on."""
        self.holder, self.inner, self.given = holder, inner, time.perf_counter()
        self.started, self.loading, self.steps_done, self.seconds, self.recalled = None, None, 0, 0.0, False
        holder.held[self.number] = self

    def take_back(self) -> None:
        """Nobody has it."""
        if self.holder is not None:
            self.holder.held.pop(self.number, None)
        self.holder, self.inner = None, None
        self.steps_done = 0

    def recall(self) -> None:
        """Have its holder give it back, once."""
        if self.inner is not None and not (self.recalled or self.cancelled):
            self.recalled = True
            self.inner.cancel()

    def tell(self, event: Event) -> None:
        """Hand an event on, unless an earlier try has."""
        if isinstance(event, ImageReady):
            if event.index in self.shown:
                return
            self.shown.add(event.index)
        self.ticket.publish(event)

    def end(self, event: Finished | Failed | Cancelled) -> None:
        """Tell how it ended; how long it took is told as whoever asked has seen it."""
        if isinstance(event, Finished) and self.first_start is not None:
            now = time.perf_counter()
            event = Finished(wait_s=self.first_start - self.submitted, run_s=now - self.first_start)
        self.ticket.publish(event)


def _completes(request: Txt2Img, info: ModelInfo) -> bool:
    try:
        resolve.complete(request, info)
    except EngineError:
        return False
    return True
