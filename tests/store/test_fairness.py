"""The queue is fair: proved on the real functions with a simulated engine, in virtual time."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator

import pytest

from bot.config import Settings
from bot.ledger.limits import default_terms
from tests.store.queue_simulation import SERVICE_S, Arrival, Shop, database, p95, visitors

FLOODER = 999
SETTINGS = Settings(_env_file=None)
SLOTS = SETTINGS.max_running
RUNNING = default_terms(SETTINGS).max_running


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with database() as connection:
        yield connection


def test_a_flood_by_one_moves_nobody_elses_p95_by_more_than_a_tenth() -> None:
    """Ten members keep the engine not quite half busy; then one more asks for all that may be asked, all the time.

    The settings are those the program starts with: 16 jobs in the engine, a quarter of them at most one member's. Each
    member's waits of four days count together: the p95 of one day's fifty jobs hangs on two of them.
    """
    until_s = 1200.0
    calm: dict[int, list[float]] = {}
    flooded: dict[int, list[float]] = {}
    for seed in range(4):
        asked = visitors(range(1, 11), every_s=25.0, until_s=until_s, seed=seed)
        flood = [Arrival(second / 2, FLOODER, size=1 + second % 2) for second in range(int(2 * until_s))]
        alone, beside = _served(asked, until_s), _served(asked + flood, until_s)
        assert beside.served.count(FLOODER) > len(alone.served) / 2, "the flood takes what nobody else wants"
        for member in alone.waits:
            calm.setdefault(member, []).extend(alone.waits[member])
            flooded.setdefault(member, []).extend(beside.waits[member])
    for member, times in calm.items():
        assert len(times) > 120
        assert p95(flooded[member]) <= 1.1 * p95(times), member


def _served(arrivals: list[Arrival], until_s: float) -> Shop:
    with database() as db:
        shop = Shop(db, SLOTS, RUNNING)
        shop.open(arrivals, until_s + 300)
        return shop


def test_who_asks_for_more_is_not_served_more(db: sqlite3.Connection) -> None:
    """Eight members who always wait, one of them with ten times as many jobs: max/min served is 1.5 at most."""
    arrivals = [Arrival(0.0, user) for user in range(1, 9) for _ in range(90 if user == 8 else 20)]
    shop = Shop(db, slots=4)
    shop.open(arrivals, until_s=35 * SERVICE_S)
    served = Counter(shop.served)
    assert len(served) == 8
    assert max(served.values()) <= 1.5 * min(served.values())


def test_large_jobs_count_by_their_work(db: sqlite3.Connection) -> None:
    """Who asks for jobs three times as large is served a third as many."""
    arrivals = [Arrival(0.0, user, size=size) for user, size in ((1, 1), (2, 1), (3, 3)) for _ in range(60)]
    shop = Shop(db, slots=2)
    shop.open(arrivals, until_s=50 * SERVICE_S)
    work = {user: count * (3 if user == 3 else 1) for user, count in Counter(shop.served).items()}
    assert max(work.values()) <= 1.5 * min(work.values())


@pytest.mark.parametrize("weight", [2.0, 4.0])
def test_weights_are_shares(db: sqlite3.Connection, weight: float) -> None:
    arrivals = [Arrival(0.0, user, weight=weight if user == 1 else 1.0) for user in (1, 2) for _ in range(90)]
    shop = Shop(db, slots=1)
    shop.open(arrivals, until_s=60 * SERVICE_S)
    served = Counter(shop.served)
    assert served[1] / served[2] == pytest.approx(weight, rel=0.1)


def test_the_relax_lane_is_slower_and_never_starves(db: sqlite3.Connection) -> None:
    """Six members pay and never stop asking; the seventh has no credits, and still gets a picture now and then."""
    until_s = 60 * SERVICE_S
    paying = [Arrival(second * SERVICE_S / 2, user) for user in range(1, 7) for second in range(120)]
    relaxed = [Arrival(0.0, 7, lane="relax") for _ in range(20)]
    shop = Shop(db, slots=2)
    shop.open(paying + relaxed, until_s)
    served = Counter(shop.served)
    assert served[7] >= 3
    assert served[7] < min(served[user] for user in range(1, 7)) / 2
