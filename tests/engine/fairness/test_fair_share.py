"""Nobody waits for ever, and short jobs wait little: the real arithmetic on a device in virtual time."""

from __future__ import annotations

import random
import statistics
from collections import defaultdict

import pytest

from engine.runtime.policy import AHEAD, RELAX_SHARE, FairShare, Work
from tests.engine.fairness.virtual_device import Ask, Device, Member

LOADS = 1000
JOBS = 20  # of a load
SHORT, LONG = 4, 40


def random_load(dice: random.Random) -> list[Member]:
    """Up to sixteen members, some of whom ask again and again, for one to eighty seconds at a time."""
    return [
        Member(
            user=f"member {number}",
            steps=[dice.choice((1, 2, 4, 8, 20, 40)) for _ in range(dice.randint(1, 3))],
            step_s=dice.choice((0.25, 0.5, 1.0, 2.0)),
            start_s=dice.uniform(0, 100),
            parallel=dice.randint(1, 4),
            pause_s=dice.choice((None, 0, 0, 1, 5, 30, 100)),
        )
        for number in range(dice.randint(2, 16))
    ]


def test_no_job_takes_longer_than_members_plus_one_times_its_own_length_and_a_step() -> None:
    """Its own length is all that its member has queued then, and has had ahead of the others."""
    for seed in range(LOADS):
        dice = random.Random(seed)
        members = random_load(dice)
        longest_step_s = max(member.step_s for member in members)
        for job in Device().serve(members, dice, jobs=JOBS):
            assert job.took_s <= (job.crowd + 1) * job.own_s + longest_step_s + 1e-6, (seed, job)


@pytest.mark.parametrize("flooders", [1, 2, 4, 8, 15])
def test_a_flood_of_short_jobs_leaves_a_long_one_twice_its_fair_time_at_most(flooders: int) -> None:
    flood = [Member(f"flooder {n}", [SHORT], parallel=4) for n in range(flooders)]
    done = Device().serve([Member("patient", [LONG], start_s=1.0, pause_s=None), *flood], random.Random(0), jobs=300)
    [long] = [job for job in done if job.member.user == "patient"]
    assert long.took_s <= 2 * LONG * (flooders + 1)


def poisson(seed: int, count: int = 60, users: int = 7) -> list[Member]:
    """A load of 0.9: four of five jobs are short, one is ten times as long."""
    dice, now_s, found = random.Random(seed), 0.0, []
    for number in range(count):
        now_s += dice.expovariate(0.9 / (0.8 * SHORT + 0.2 * LONG))
        steps = [SHORT if dice.random() < 0.8 else LONG]
        found.append(Member(f"member {number % users}", steps, start_s=now_s, pause_s=None))
    return found


def p95(done: list[Ask], length_s: int) -> float:
    return statistics.quantiles([job.took_s for job in done if job.length_s == length_s], n=20)[-1]


def test_short_jobs_wait_a_third_and_long_ones_hardly_longer_than_in_order_of_arrival() -> None:
    """Forty evenings of sixty jobs on a device that gains nothing from rows."""
    fair, first_come = (
        [job for seed in range(40) for job in Device(first_come=mode).serve(poisson(seed), random.Random(), jobs=60)]
        for mode in (False, True)
    )
    assert p95(fair, SHORT) <= p95(first_come, SHORT) / 3
    assert p95(fair, LONG) <= 1.2 * p95(first_come, LONG)


def served(members: list[Member], jobs: int) -> dict[str, float]:
    """Seconds that each member had."""
    had: dict[str, float] = defaultdict(float)
    for job in Device().serve(members, random.Random(0), jobs=jobs):
        had[job.member.user] += job.length_s
    return had


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 4.0), (1.0, 2.0, 3.0)])
def test_weights_are_shares(weights: tuple[float, ...]) -> None:
    had = served([Member(f"{n}", [10], parallel=2, weight=weight) for n, weight in enumerate(weights)], jobs=400)
    for number, weight in enumerate(weights):
        assert had[f"{number}"] / 4000 == pytest.approx(weight / sum(weights), rel=0.1)


def test_a_weight_counts_from_the_next_job_on_and_nothing_is_lost_by_it() -> None:
    shares = FairShare()
    shares.enter(1, "busy", "fast", 1.0)
    shares.enter(2, "other", "fast", 1.0)
    shares.charge({1: 6.0})
    ahead_s = shares.ahead_s(1)
    shares.enter(3, "busy", "fast", 3.0)
    assert ahead_s > 0
    assert shares.ahead_s(3) == pytest.approx(ahead_s)
    shares.charge({3: 3.0})
    before_s = shares.ahead_s(2)
    shares.charge({2: 1.0})
    assert shares.ahead_s(2) > before_s


def test_many_jobs_buy_no_more_than_a_share() -> None:
    had = served([Member("busy", [5], parallel=20), Member("light", [5], parallel=2)], jobs=400)
    assert had["light"] == pytest.approx(had["busy"], abs=5 * (AHEAD + 2))


def test_relax_gets_a_tenth_of_what_a_fast_member_gets_and_waits_for_those() -> None:
    had = served([Member("fast", [2], parallel=2), Member("relaxed", [2], parallel=2, lane="relax")], jobs=800)
    assert had["relaxed"] / 1600 == pytest.approx(RELAX_SHARE / (1 + RELAX_SHARE), rel=0.15)
    shares = FairShare()
    shares.enter(1, "relaxed", "relax", 1.0)
    shares.enter(2, "fast", "fast", 1.0)
    assert shares.order({1: Work(1.0, 1.0), 2: Work(9.0, 9.0)}, 1.0) == [2, 1]


def test_a_flood_while_nobody_else_was_there_is_not_held_against_anybody() -> None:
    """A member who painted alone for an hour shares with a newcomer from then on."""
    alone = Member("early", [4], parallel=2)
    late = Member("late", [4], parallel=2, start_s=3600.0)
    done = Device().serve([alone, late], random.Random(0), jobs=1000)
    since = [job for job in done if job.at_s >= 3600]
    assert sum(job.member is alone for job in since) == pytest.approx(len(since) / 2, abs=AHEAD + 2)


def test_strangers_are_forgotten() -> None:
    shares = FairShare()
    for number in range(5):
        shares.enter(number, f"member {number}", "fast", 1.0)
    for number in range(5):
        shares.charge({number: 1.0})
        shares.leave(number)
    assert shares.members == 0
