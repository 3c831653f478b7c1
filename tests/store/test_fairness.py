"""The queue is fair: proved on the real functions with a simulated engine, in virtual time."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator

import pytest

from bot.config import Settings
from bot.jobs import queue
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


# ------------------------------------------------------------------ servers
def test_servers_share_first_and_their_members_what_their_server_has(db: sqlite3.Connection) -> None:
    """One server has twelve members, each with a weight of 100; another one has two with 1: each gets a half."""
    crowd = [Arrival(0.0, user, weight=100.0, server=1) for user in range(1, 13) for _ in range(20)]
    few = [Arrival(0.0, user, server=2) for user in (21, 22) for _ in range(60)]
    shop = Shop(db, slots=2)
    shop.open(crowd + few, until_s=60 * SERVICE_S)
    served = Counter(shop.served)
    mine = sum(served[user] for user in range(1, 13))
    assert mine == pytest.approx(served[21] + served[22], abs=4)
    assert served[21] == pytest.approx(served[22], abs=2)
    assert max(served[user] for user in range(1, 13)) <= min(served[user] for user in range(1, 13)) + 2


def test_a_server_that_was_away_saves_nothing_up(db: sqlite3.Connection) -> None:
    early = [Arrival(0.0, 1, server=1) for _ in range(100)]
    late = [Arrival(30 * SERVICE_S, 2, server=2) for _ in range(60)]
    shop = Shop(db, slots=1)
    shop.open(early + late, until_s=70 * SERVICE_S)
    assert Counter(shop.served[31:])[2] == pytest.approx(20, abs=1)


def test_a_servers_members_have_one_share_of_the_device_together(db: sqlite3.Connection) -> None:
    """Nobody's weight makes a server's part of the engine larger."""
    crowd = [Arrival(0.0, user, weight=4.0 if user == 1 else 1.0, server=1) for user in range(1, 5)]
    shop = Shop(db, slots=0)
    shop.open([*crowd, Arrival(0.0, 9, server=2)], until_s=0.5)
    shares = {job.user_id: job.weight for job in queue.claim(db, "boot", 8, 1)}
    assert shares[1] == pytest.approx(4 * shares[2])
    assert sum(shares[user] for user in range(1, 5)) == pytest.approx(shares[9])


def test_a_job_weighs_the_same_however_many_were_at_work_when_it_was_claimed(db: sqlite3.Connection) -> None:
    """Or whoever came first would keep what was theirs while they were alone."""
    shop = Shop(db, slots=0)
    shop.open([Arrival(0.0, user, server=1) for user in range(1, 6)], until_s=0.5)
    assert [queue.claim(db, "boot", 1, 1)[0].weight for _ in range(5)] == [pytest.approx(1.0)] * 5


def test_the_position_is_the_order_of_claims(db: sqlite3.Connection) -> None:
    """Also across servers with unequal jobs and weights, as long as everybody may run as many as they like."""
    asked = [
        Arrival(0.0, user, weight=1.0 + user % 3, size=1 + number % 3, server=1 + user % 2)
        for user in range(1, 6)
        for number in range(4)
    ]
    shop = Shop(db, slots=0)
    shop.open(asked, until_s=0.5)
    waiting = [row["id"] for row in db.execute("SELECT id FROM job").fetchall()]
    foretold = sorted(waiting, key=lambda job_id: queue.position(db, job_id) or 0)
    assert [queue.position(db, job_id) for job_id in foretold] == list(range(len(asked)))
    claimed = [job.id for job in queue.claim(db, "boot", len(asked), 1)]
    assert claimed == foretold


def test_one_server_cannot_fill_the_queue(db: sqlite3.Connection) -> None:
    shop = Shop(db, slots=0, max_server_queue=3)
    shop.open([Arrival(0.0, user, server=1) for user in range(1, 9)], until_s=0.5)
    assert (queue.length(db), queue.length(db, 1)) == (3, 3)
    shop.open([Arrival(1.0, 20, server=2)], until_s=2.0)
    assert (queue.length(db), queue.length(db, 2)) == (4, 1)
