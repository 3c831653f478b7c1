"""The queue's arithmetic: shortest first, but never at the cost of somebody's share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.policy import RELAX_SHARE, SLACK_S, BatchCurve, FairShare, StepTimes

STEP_S = 1.0


def serve(shares: FairShare, jobs: dict[int, tuple[str, str, float]], seconds: int) -> dict[str, float]:
    """Run a device for so long over endless jobs of (user, lane, remaining); what each user got."""
    got: dict[str, float] = {}
    for _ in range(seconds):
        number = min(jobs, key=lambda n: shares.rank(jobs[n][0], jobs[n][1], jobs[n][2], n))
        user, lane, _remaining = jobs[number]
        shares.charge(user, lane, STEP_S)
        got[user] = got.get(user, 0.0) + STEP_S
    return got


def entered(
    *jobs: tuple[str, str, float], weights: dict[str, float] | None = None
) -> tuple[FairShare, dict[int, tuple[str, str, float]]]:
    shares = FairShare()
    for user, lane, _ in jobs:
        shares.enter(user, lane, (weights or {}).get(user, 1.0))
    return shares, dict(enumerate(jobs))


def test_the_shortest_goes_first() -> None:
    shares, jobs = entered(("ann", "fast", 9.0), ("ben", "fast", 2.0), ("cat", "fast", 5.0))
    assert serve(shares, jobs, 1) == {"ben": STEP_S}


def test_relax_waits_for_fast() -> None:
    shares, jobs = entered(("ann", "relax", 1.0), ("ben", "fast", 9.0))
    assert serve(shares, jobs, 5) == {"ben": 5.0}


def test_many_jobs_buy_no_more_than_a_share() -> None:
    shares, jobs = entered(*[("busy", "fast", 1.0)] * 20, ("light", "fast", 100.0))
    got = serve(shares, jobs, 400)
    assert got["light"] >= 200 - 2 * SLACK_S


def test_relax_is_never_starved() -> None:
    shares, jobs = entered(("ann", "relax", 1.0), ("ben", "fast", 1.0))
    got = serve(shares, jobs, 2000)
    assert got["ann"] >= 2000 * RELAX_SHARE / (1 + RELAX_SHARE) - 2 * SLACK_S


@given(
    st.lists(st.tuples(st.floats(0.5, 4.0), st.floats(0.1, 100.0)), min_size=2, max_size=6),
)
def test_everybody_gets_their_weighted_share_within_the_slack(users: list[tuple[float, float]]) -> None:
    names = [f"u{i}" for i in range(len(users))]
    weights = {name: weight for name, (weight, _) in zip(names, users, strict=True)}
    shares, jobs = entered(*((n, "fast", r) for n, (_, r) in zip(names, users, strict=True)), weights=weights)
    got = serve(shares, jobs, 500)
    for name in names:
        fair = 500 * weights[name] / sum(weights.values())
        assert got.get(name, 0.0) >= fair - SLACK_S - len(users) * STEP_S


def test_idle_time_earns_no_credit_and_strangers_are_forgotten() -> None:
    shares, jobs = entered(("ann", "fast", 1.0))
    serve(shares, jobs, 100)
    shares.enter("late", "fast", 1.0)
    assert shares.rank("late", "fast", 5.0, 1)[0] >= shares.rank("ann", "fast", 1.0, 0)[0]
    shares.leave("late", "fast")
    shares.leave("ann", "fast")
    assert not shares._accounts


def test_the_knee_doubles_while_that_pays() -> None:
    knee = BatchCurve(limit=16)
    assert knee.cap(2) == 4  # unknown: try one doubling
    for rows, seconds in ((2, 1.0), (4, 1.1), (8, 2.1), (4, 1.1)):
        knee.observe(rows, seconds)
    assert knee.cap(2) == 4  # eight rows take as long as two fours
    knee.lower(4)
    assert knee.cap(2) == 2


def test_pace_predicts_unknown_sizes_from_known_ones() -> None:
    pace = StepTimes()
    assert pace.seconds("mini", 100) is None
    pace.observe("mini", 100, 1.0)
    assert pace.seconds("mini", 400) == 4.0
    assert pace.seconds("other", 100) is None
