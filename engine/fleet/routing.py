"""Which engine of a fleet gets a job, and when it will be done: arithmetic on what is known of them. Knows no torch.

A job goes where it will be done first, counting what lies there already, what will be given to that engine before, and
what it takes to load its model. A load also costs everybody whom it keeps waiting, so it's made where nobody else would
be served, or where it's worth more to the job than it takes from them: many models stay where they are for as long as
there is work for them, and are loaded a second time once too many wait. Whoever is best may be busy: then the job waits
in the fleet, where it can still go to another, and others behind it that fit elsewhere go first.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from engine.fleet.members import FleetJob, Member
from engine.runtime.policy import StepTimes

ENOUGH_ROWS = 16  # two full batches: one is painted, one is there when it ends
WORTH_MOVING_S = 0.5  # that a job must gain by being given to somebody else


class Desk:
    """What one member has before it.

    Attributes:
        models: those in memory, and those that are on their way there. unstarted: jobs that it has yet to begin.
    """

    def __init__(self, member: Member, rank: Mapping[int, int]) -> None:
        self.member, self.free_bytes = member, member.free_bytes()
        self._rank, self._usual_load_s = rank, member.usual_load_s
        self.look()

    def look(self) -> None:
        """Take in what it holds now."""
        held = sorted(self.member.held.values(), key=lambda job: self._rank.get(job.number, 0))
        self._memory = self.member.in_memory()
        self._places = [self._rank.get(job.number, 0) for job in held]
        self._coming: dict[str, int] = {}  # models that have to be loaded, and for whom
        seconds, rows = [0.0], [0]
        for place, job in zip(self._places, held, strict=True):
            seconds.append(seconds[-1] + job.left_s(self.member.pace) + self._coming_s(job, place))
            rows.append(rows[-1] + job.rows)
        self._seconds, self._rows = seconds, rows
        self.models = self._memory.union(self._coming)
        self.unstarted = sum(job.started is None for job in held)
        self._suspected = any(job.blame for job in held)

    def load_s(self, model: str) -> float:
        """Seconds to get a model into memory; of one that it hasn't loaded yet as long as of those that it has."""
        return self.member.loads.get(model, self._usual_load_s)

    def _coming_s(self, job: FleetJob, place: int) -> float:
        """Seconds that its model still takes, if it's the first that needs it."""
        model = job.info.key
        if model in self._memory or model in self._coming:
            return 0.0
        self._coming[model] = place
        return max(0.0, self.load_s(model) - job.loading_s)

    def wait_s(self, model: str, place: int) -> float:
        """Seconds until it would begin a job: what it holds that comes first, and the model's way into memory."""
        there = model in self._memory or self._coming.get(model, place) < place
        return self._seconds[bisect_left(self._places, place)] + (0.0 if there else self.load_s(model))

    def has_room(self, job: FleetJob, place: int) -> bool:
        """Whether a job may be given to it: what comes first is less than it can work on, nobody is under suspicion."""
        if job.blame or self._suspected:
            return not self.member.held
        return self._rows[bisect_left(self._places, place)] < ENOUGH_ROWS


@dataclass(slots=True)
class Waiting:
    """The jobs of one model that nobody has: how many, and seconds of those that were asked about before."""

    jobs: int = 0
    before_s: float = 0.0


class Plan:
    """Who gets what, at one look at a fleet. To be asked about the waiting jobs in the order they are served."""

    def __init__(
        self, order: Sequence[FleetJob], members: Iterable[Member], rank: Mapping[int, int], pace: StepTimes
    ) -> None:
        self._rank, self._pace = rank, pace
        self._desks = [Desk(member, rank) for member in members if member.takes_jobs]
        self._open = self._desks
        self._holders: dict[str, list[Desk]] = {}  # by model: who has it, or will
        for desk in self._desks:
            self._hold(desk, desk.models)
        self._waiting: dict[str, Waiting] = {}
        self._busy: dict[str, Desk] = {}  # by model: who is better than whoever has room
        for job in order:
            if job.waits:
                self._waiting.setdefault(job.info.key, Waiting()).jobs += 1

    def movable(self, idle: Member) -> FleetJob | None:
        """A job that a member holds and hasn't begun, and that another with nothing to do would have done sooner."""
        there = next(desk for desk in self._desks if desk.member is idle)
        gains = [
            (gain, job)
            for desk in self._desks
            if desk is not there and len(desk.member.held) > 1
            for job in desk.member.held.values()
            if job.movable and idle.can(job)
            if (gain := self._end_s(desk, job) - self._end_s(there, job)) > WORTH_MOVING_S
        ]
        return max(gains, key=lambda each: (each[0], -each[1].number), default=(0.0, None))[1]

    def _end_s(self, desk: Desk, job: FleetJob) -> float:
        """Seconds until a member would have done it."""
        return desk.wait_s(job.info.key, self._rank.get(job.number, 0)) + job.left_s(desk.member.pace)

    @property
    def full(self) -> bool:
        """Whether nobody has room for the job that was asked about last, nor for those behind it."""
        return not self._open

    def best(self, job: FleetJob) -> Member | None:
        """Who gets a waiting job now; None while it's to wait."""
        place = self._rank[job.number]
        free = [desk for desk in self._open if desk.has_room(job, place)]
        if not job.blame:  # whoever has no room for it has none for those behind it
            self._open = free
        desk = self._chosen(job, place, [each for each in free if each.member.can(job)])
        if desk is None:
            self._waiting[job.info.key].before_s += job.left_s(self._pace)
        return None if desk is None else desk.member

    def given(self, job: FleetJob) -> None:
        """A job was given away, if it was taken."""
        if job.holder is None:
            return
        self._waiting[job.info.key].jobs -= 1
        desk = next(each for each in self._desks if each.member is job.holder)
        before = desk.models
        desk.look()
        self._hold(desk, desk.models - before)

    def _hold(self, desk: Desk, models: Iterable[str]) -> None:
        for model in models:
            self._holders.setdefault(model, []).append(desk)

    def _chosen(self, job: FleetJob, place: int, free: Sequence[Desk]) -> Desk | None:
        costs_s = {desk: round(self._cost_s(desk, job, place), 3) for desk in free}
        best = min(free, key=lambda desk: (costs_s[desk], len(desk.member.held), -desk.free_bytes), default=None)
        if best is None or job.blame:  # one that may end its worker goes to whoever has nothing else
            return best
        model = job.info.key
        busy = (self._busy[model],) if model in self._busy else ()
        for desk in itertools.chain(busy, self._holders.get(model, ()), self._desks):
            if desk not in costs_s and desk.member.can(job) and self._cost_s(desk, job, place) < costs_s[best]:
                self._busy[model] = desk
                return None
        return best

    def _cost_s(self, desk: Desk, job: FleetJob, place: int) -> float:
        """Seconds until it would be done there, and those that others wait longer for its model's sake."""
        model = job.info.key
        before_s, kept = 0.0, float(desk.unstarted)
        for each in desk.models:
            if (waiting := self._waiting.get(each)) is not None:
                before_s += waiting.before_s / len(self._holders[each])
                kept += waiting.jobs / len(self._holders[each])
        others_s = 0.0 if model in desk.models else desk.load_s(model) * kept
        return before_s + desk.wait_s(model, place) + job.left_s(desk.member.pace) + others_s


def ends_s(order: Sequence[FleetJob], members: Sequence[Member]) -> dict[int, float | None]:
    """When each job will be done if nobody comes: whoever is free first takes the next. None while nobody knows."""
    found: dict[int, float | None] = {}
    by_name = {member.name: member for member in members}
    free = {member.name: 0.0 for member in members if member.takes_jobs}
    first = [(0.0, name) for name in free]  # with what has changed since; the first that is as `free` says counts
    for job in order:
        member = job.holder
        while first and free[first[0][1]] != first[0][0]:
            heappop(first)
        if member is None and first:
            member = by_name[first[0][1]]
        if member is None or job.known_step_s(member.pace) is None:
            found[job.number] = None
            continue
        end_s = free.get(member.name, 0.0) + job.left_s(member.pace)
        free[member.name] = found[job.number] = end_s
        heappush(first, (end_s, member.name))
    return found
