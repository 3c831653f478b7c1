"""A device in virtual time, shared out by the real scheduler's arithmetic: nothing is slept, all chance is by seed."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from engine.runtime.policy import FairShare, Work


@dataclass(frozen=True, slots=True)
class Member:
    """Asks for `parallel` jobs at `start_s`, and for another one `pause_s` after each that is done; None = never."""

    user: str
    steps: Sequence[int]  # of a job, drawn by lot
    step_s: float = 1.0
    start_s: float = 0.0
    parallel: int = 1
    pause_s: float | None = 0.0
    lane: str = "fast"
    weight: float = 1.0


@dataclass(eq=False, slots=True)
class Ask:
    """A job. `crowd`: the most members at once that had work, or were still ahead of the others, while it waited."""

    number: int
    member: Member
    length_s: float
    at_s: float
    left_s: float
    own_s: float = 0.0  # all of its member's work: what was open or ahead of the others when it came
    done_s: float = 0.0
    crowd: int = 0

    @property
    def took_s(self) -> float:
        return self.done_s - self.at_s


class Device:
    """Runs a step of one job at a time. `first_come`: whole jobs in the order they came, in place of `FairShare`."""

    def __init__(self, *, first_come: bool = False) -> None:
        self.shares, self._first_come = FairShare(), first_come
        self.now_s = 0.0
        self.done: list[Ask] = []
        self._open: dict[int, Ask] = {}
        self._numbers = itertools.count(1)
        self._coming: list[tuple[float, int, Callable[[float], None]]] = []

    def serve(self, members: Iterable[Member], dice: random.Random, *, jobs: int) -> list[Ask]:
        """Serve them until so many jobs are done, or nobody wants anything."""
        for member in members:
            for _ in range(member.parallel):
                self._plan(member.start_s, member, dice)
        while len(self.done) < jobs and (self._open or self._coming):
            if not self._open:
                self.now_s = max(self.now_s, self._coming[0][0])
            while self._coming and self._coming[0][0] <= self.now_s:
                at_s, _, ask = heapq.heappop(self._coming)
                ask(at_s)
            self._step(dice)
        return self.done

    def _plan(self, at_s: float, member: Member, dice: random.Random) -> None:
        heapq.heappush(self._coming, (at_s, next(self._numbers), lambda at_s: self._ask(at_s, member, dice)))

    def _ask(self, at_s: float, member: Member, dice: random.Random) -> None:
        length_s = dice.choice(member.steps) * member.step_s
        job = Ask(next(self._numbers), member, length_s, at_s, length_s)
        queued_s = sum(each.left_s for each in self._open.values() if each.member.user == member.user)
        self.shares.enter(job.number, member.user, member.lane, member.weight)
        self._open[job.number] = job
        job.own_s = queued_s + length_s + max(0.0, self.shares.ahead_s(job.number))
        for each in self._open.values():
            each.crowd = max(each.crowd, self.shares.members)

    def _step(self, dice: random.Random) -> None:
        job = self._open[self._next()]
        step_s = job.member.step_s
        self.now_s += step_s
        job.left_s -= step_s
        self.shares.charge({job.number: step_s})
        if job.left_s <= 0:
            self._end(job, dice)

    def _next(self) -> int:
        if self._first_come:
            return next(iter(self._open))
        work = {number: Work(job.length_s, job.left_s) for number, job in self._open.items()}
        return self.shares.order(work, max(job.member.step_s for job in self._open.values()))[0]

    def _end(self, job: Ask, dice: random.Random) -> None:
        del self._open[job.number]
        self.shares.leave(job.number)
        job.done_s = self.now_s
        self.done.append(job)
        if job.member.pause_s is not None:
            self._plan(self.now_s + job.member.pause_s, job.member, dice)
