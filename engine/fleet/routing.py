"""Which engine of a fleet gets a job, and when it will be done: arithmetic on what is known of them. Knows no torch.

A job goes where it will be done first, counting what lies there already and what it takes to load its model. So a model
stays where it is while that is the quicker way, and is loaded a second time once it isn't. Whoever that is may be busy:
then the job waits in the fleet, where it can still go to another, and others behind it that fit elsewhere go first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from engine.fleet.members import FleetJob, Member

ENOUGH_ROWS = 16  # two full batches: one is painted, one is there when it ends
WORTH_MOVING_S = 0.5  # that a job must gain by being given to somebody else


def wait_s(member: Member, job: FleetJob, rank: Mapping[int, int]) -> float:
    """Seconds until a member would begin it: what it holds that comes first, and its model's way into memory."""
    mine = rank.get(job.number, 0)
    ahead = [each for each in member.held.values() if each is not job and rank.get(each.number, 0) < mine]
    coming = {each.info.key for each in ahead if each.started is None} - {job.info.key}
    loads_s = sum(member.loads.get(model, member.usual_load_s) for model in coming if not member.has_in_memory(model))
    return sum(each.left_s(member.pace) for each in ahead) + loads_s + member.load_s(job.info.key)


def end_s(member: Member, job: FleetJob, rank: Mapping[int, int]) -> float:
    """Seconds until a member would have done it."""
    return wait_s(member, job, rank) + job.left_s(member.pace)


def has_room(member: Member, job: FleetJob, rank: Mapping[int, int]) -> bool:
    """Whether a job may be given to it: what comes first is less than it can work on, and nobody is under suspicion."""
    if job.blame or member.suspect is not None:
        return not member.held
    mine = rank[job.number]
    ahead = [each for each in member.held.values() if rank.get(each.number, 0) < mine]
    return sum(each.rows for each in ahead) < ENOUGH_ROWS


def that_have_a_place(
    order: Sequence[FleetJob], members: Sequence[Member], rank: Mapping[int, int]
) -> Iterator[FleetJob]:
    """The waiting jobs, the first to be served first, for as long as somebody has room.

    Whoever has none for a job has none for those behind it either. To be asked anew after each that was given away.
    """
    open_to = [member for member in members if member.takes_jobs]
    for job in order:
        if job.waits:
            open_to = [member for member in open_to if has_room(member, job, rank) or (job.blame and not member.held)]
            if not open_to and not job.blame:
                return
            yield job


def best(job: FleetJob, members: Iterable[Member], rank: Mapping[int, int]) -> Member | None:
    """Who would have it done first; of equals, who holds less and has more memory free."""
    able = [member for member in members if member.takes_jobs and member.can(job)]

    def order(member: Member) -> tuple[float, int, int]:
        return round(end_s(member, job, rank), 3), len(member.held), -member.free_bytes()

    return min(able, key=order, default=None)


def chosen(job: FleetJob, members: Sequence[Member], rank: Mapping[int, int]) -> Member | None:
    """Who gets it now; None while it's to wait. One that may end its worker goes to whoever has nothing else."""
    if job.blame:
        members = [member for member in members if not member.held]
    member = best(job, members, rank)
    return member if member is not None and has_room(member, job, rank) else None


def movable(idle: Member, members: Iterable[Member], rank: Mapping[int, int]) -> FleetJob | None:
    """A job that a member holds and hasn't begun, and that another with nothing to do would have done sooner."""
    gains: list[tuple[float, FleetJob]] = []
    for member in members:
        for job in member.held.values() if member is not idle else ():
            if job.started is None and not (job.recalled or job.cancelled or job.blame) and idle.can(job):
                gain = end_s(member, job, rank) - end_s(idle, job, rank)
                if len(member.held) > 1 and gain > WORTH_MOVING_S:
                    gains.append((gain, job))
    return max(gains, key=lambda each: (each[0], -each[1].number), default=(0.0, None))[1]


def ends_s(order: Sequence[FleetJob], members: Sequence[Member]) -> dict[int, float | None]:
    """When each job will be done if nobody comes: whoever is free first takes the next. None while nobody knows."""
    found: dict[int, float | None] = {}
    free = {member.name: 0.0 for member in members if member.takes_jobs}
    by_name = {member.name: member for member in members}
    for job in order:
        member = job.holder
        if member is None and free:
            member = by_name[min(free, key=lambda name: free[name])]
        if member is None or job.known_step_s(member.pace) is None:
            found[job.number] = None
            continue
        free[member.name] = free.get(member.name, 0.0) + job.left_s(member.pace)
        found[job.number] = free[member.name]
    return found
