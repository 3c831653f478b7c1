"""Whose turn it is: the jobs in the order they are served, and what the waiting ones are told. Knows no torch."""

from __future__ import annotations

import itertools
import time

from engine.runtime.jobs import Job, paced_as
from engine.runtime.policy import FairShare, StepTimes, Work

RERANK_S = 0.25  # of many jobs: shares drift slowly, and arrivals and ends rank anew at once
MANY = 64  # jobs, more than the bot hands over; ranking so many takes 0.3 ms
POSITIONS_S = 1.0  # how often waiting jobs are told where they stand


class JobQueue:
    """The engine's open jobs. `pace` tells how long each has to go."""

    def __init__(self, pace: StepTimes) -> None:
        self.pace = pace
        self.jobs: list[Job] = []
        self._shares = FairShare()
        self._order: list[Job] = []
        self._ranked_at = self._told_at = 0.0

    def __len__(self) -> int:
        return len(self.jobs)

    @property
    def running(self) -> int:
        return sum(job.started is not None for job in self.jobs)

    def enter(self, job: Job) -> None:
        self.jobs.append(job)
        self._shares.enter(job.number, job.user, job.lane, job.weight)
        self.disturb()

    def leave(self, job: Job) -> None:
        self.jobs.remove(job)
        self._shares.leave(job.number)
        self.disturb()

    def needs_room_before(self, job: Job) -> bool:
        """Whether one that is served earlier waits until models may go."""
        earlier = itertools.takewhile(lambda each: each is not job, self._order)
        return any(each.needs_room and not each.ended for each in earlier)

    def try_again(self) -> None:
        """Something was let go of: those who wait for room may ask again."""
        for job in self.jobs:
            job.needs_room = False

    def disturb(self) -> None:
        """Something happened: rank anew before the next call."""
        self._ranked_at = 0.0

    def charge(self, job: Job, seconds: float) -> None:
        """The job had so much of the device."""
        self._shares.charge({job.number: seconds})

    def ranked(self) -> list[Job]:
        """The jobs in the order they are to be served."""
        now = time.perf_counter()
        if len(self.jobs) <= MANY or now - self._ranked_at > RERANK_S:
            self._ranked_at = now
            self._order = self._rank()
        if now - self._told_at > POSITIONS_S:
            self._told_at = now
            self._tell_positions()
        return self._order

    def _rank(self) -> list[Job]:
        by_number = {job.number: job for job in self.jobs}
        work = {job.number: Work(job.length_s(self.pace), job.remaining_s(self.pace)) for job in self.jobs}
        step_s = max((job.step_s(self.pace) for job in self.jobs), default=0.0)
        return [by_number[number] for number in self._shares.order(work, step_s)]

    def _tell_positions(self) -> None:
        ahead_s: float | None = 0.0
        for position, job in enumerate(self._order):
            known = self.pace.seconds(paced_as(job.request, job.info), job.pixels) is not None
            ahead_s = ahead_s + job.remaining_s(self.pace) if known and ahead_s is not None else None
            if job.started is None and job.awaits is None:
                job.tell_position(position, ahead_s)
