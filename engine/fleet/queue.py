"""The jobs of a fleet, and the order in which they are served: shares over all engines. Knows no engine, no torch."""

from __future__ import annotations

from engine.fleet.members import FleetJob, Member
from engine.runtime.policy import FairShare, StepTimes, Work


class FleetQueue:
    """Open jobs by number, waiting or not. `pace`: how long steps take, whoever makes them."""

    def __init__(self) -> None:
        self.jobs: dict[int, FleetJob] = {}
        self.pace = StepTimes()
        self._shares = FairShare()
        self._spent: dict[int, float] = {}  # seconds by job, since they were last charged

    def enter(self, job: FleetJob) -> None:
        self.jobs[job.number] = job
        self._shares.enter(job.number, job.user, job.lane, job.weight)

    def leave(self, job: FleetJob) -> None:
        self._charge()
        del self.jobs[job.number]
        self._shares.leave(job.number)

    def spent(self, job: FleetJob, seconds: float) -> None:
        """A job had so much of a device."""
        self._spent[job.number] = self._spent.get(job.number, 0.0) + seconds

    def _charge(self) -> None:
        """Have all that was spent count, before anybody is compared or leaves: many steps at once take no longer."""
        self._shares.charge(self._spent)
        self._spent = {}

    def learn(self, member: Member, job: FleetJob, step_s: float) -> None:
        """A step of such a job took so long there."""
        for pace in (member.pace, self.pace):
            pace.observe(job.info.key, job.pixels, step_s)

    def left_s(self) -> float:
        """Seconds of one device that all jobs still take, as far as is known."""
        return sum(job.left_s(self.pace) for job in self.jobs.values())

    def order(self) -> list[FleetJob]:
        """All jobs, the first to be served first."""
        self._charge()
        work = {
            number: Work(job.calls * job.step_s(self.pace), job.left_s(self.pace)) for number, job in self.jobs.items()
        }
        step_s = max((job.step_s(self.pace) for job in self.jobs.values()), default=0.0)
        return [self.jobs[number] for number in self._shares.order(work, step_s)]
