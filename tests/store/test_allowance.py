"""The free allowance: once a period, by day or month, more when terms improve, and never twice for coming back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from bot.errors import BadInput, NotEnoughCredits
from bot.jobs.records import NewImage, NewJob
from bot.ledger import accounts, allowance
from bot.ledger.records import Limits
from bot.store.clock import ManualClock
from tests.job_rows import JobRows
from tests.store.ledger_model import change

Asked = Callable[..., NewJob]
Pictures = Callable[..., list[NewImage]]
DAY_S = 86_400
MONTH = Limits(period="month")
BEN = 11


def forget(db: sqlite3.Connection, user_id: int, now_ms: int) -> None:
    """What erasing a person does to the ledger."""
    allowance.leave(db, user_id, now_ms)
    db.execute("UPDATE user SET discord_id = NULL WHERE discord_id = ?", (user_id,))


async def erase(store: JobRows, clock: ManualClock, user_id: int = 10) -> None:
    await store.write(forget, user_id, clock.now_ms())


async def spend(store: JobRows, asked: Asked, price_mc: int, amount_mc: int, limits: Limits = MONTH) -> int:
    """Reserve a price; the free millicredits that are left."""
    await store.enqueue(asked(price_mc=price_mc), amount_mc, limits)
    return (await store.balance(10, 1, amount_mc, limits.period)).free_mc


def at(clock: ManualClock, day: str) -> None:
    clock.advance((datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000 - clock.now_ms()) / 1000)


@pytest.mark.parametrize(
    ("label", "end"), [("2025-12", "2026-01-01"), ("2026-02", "2026-03-01"), ("2026-02-28", "2026-03-01")]
)
def test_a_period_ends_at_midnight_utc(label: str, end: str) -> None:
    assert allowance.ends_ms(label) == datetime.fromisoformat(end).replace(tzinfo=UTC).timestamp() * 1000


async def test_a_month_is_granted_once_and_expires(store: JobRows, asked: Asked, clock: ManualClock) -> None:
    at(clock, "2026-01-31")
    assert await spend(store, asked, 300, 1000) == 700
    clock.advance(DAY_S)
    assert (await store.balance(10, 1, 1000, "month")).free_mc == 1000
    assert await spend(store, asked, 100, 1000) == 900
    clock.advance(27 * DAY_S)
    assert await spend(store, asked, 100, 1000) == 800
    at(clock, "2026-01-15")  # a clock set back grants nothing
    assert await spend(store, asked, 100, 1000) == 700
    assert [entry.amount_mc for entry in await store.entries(10, 1) if entry.reason == "expired"] == [-700]


async def test_better_terms_add_the_difference_once(store: JobRows, asked: Asked) -> None:
    assert await spend(store, asked, 60, 100) == 40
    assert (await store.balance(10, 1, 300, "month")).free_mc == 240
    assert await spend(store, asked, 1, 300) == 239
    assert await spend(store, asked, 1, 100) == 238
    assert await spend(store, asked, 1, 300) == 237
    assert (await store.balance(10, 1, 0, "month")).free_mc == 237


async def test_changing_between_day_and_month_gives_each_once(store: JobRows, asked: Asked) -> None:
    day = Limits(period="day")
    assert await spend(store, asked, 1, 100, day) == 99
    assert await spend(store, asked, 1, 1000) == 999
    assert await spend(store, asked, 1, 100, day) == 998, "the day was granted already, the month's are left"
    assert await spend(store, asked, 1, 1000) == 997


async def test_free_credits_end_with_their_period_even_without_new_ones(
    store: JobRows, asked: Asked, clock: ManualClock
) -> None:
    await spend(store, asked, 10, 100, Limits())
    clock.advance(DAY_S)
    assert (await store.balance(10, 1, 0)).free_mc == 0
    with pytest.raises(NotEnoughCredits):
        await store.enqueue(asked(price_mc=1), 0)


@pytest.mark.parametrize("period", ["day", "month"])
async def test_leaving_and_coming_back_brings_only_what_was_left(
    store: JobRows, asked: Asked, clock: ManualClock, pictures: Pictures, period: str
) -> None:
    limits = Limits(period=period)  # type: ignore[arg-type]
    for _ in range(3):
        job = await store.enqueue(asked(price_mc=20_000), 100_000, limits)
        await store.claim("boot", 1)
        await store.rendered(job.id, "boot", pictures(job.id))
        await erase(store, clock)
    assert (await store.balance(10, 1, 100_000, limits.period)).free_mc == 40_000
    with pytest.raises(NotEnoughCredits):
        await store.enqueue(asked(price_mc=41_000), 100_000, limits)
    assert (await store.balance(10, 1, 150_000, limits.period)).free_mc == 90_000
    clock.advance(31 * DAY_S)
    assert (await store.balance(10, 1, 100_000, limits.period)).free_mc == 100_000


async def test_what_is_kept_of_the_erased_is_a_hash_until_the_period_ends(
    store: JobRows, asked: Asked, clock: ManualClock
) -> None:
    job = await store.enqueue(asked(user_id=8_765_432_109, price_mc=50), 100)
    await store.cancel(job.id)
    await erase(store, clock, 8_765_432_109)
    [row] = await store.read(lambda db: db.execute("SELECT * FROM tombstone").fetchall())
    assert (len(row["hash"]), row["used"]) == (32, 0)
    clock.advance(DAY_S)
    await store.forget_expired()
    assert await store.read(lambda db: db.execute("SELECT * FROM tombstone").fetchall()) == []


async def test_credits_that_stay_go_with_their_person(store: JobRows, clock: ManualClock) -> None:
    await store.give_credits(10, 1, 5000, "granted", "one")
    await store.give_credits(10, 0, 5000, "bought", "two")
    assert (await store.balance(10, 1, 0)).paid_mc == 10_000
    await erase(store, clock)
    assert (await store.balance(10, 1, 0)).paid_mc == 0
    await store.give_credits(10, 1, 5000, "granted", "one")
    assert (await store.balance(10, 1, 0)).paid_mc == 0, "the same grant counts once, whoever it is for now"


# ---------------------------------------------------------------- by hand
async def take(store: JobRows, clock: ManualClock, amount_mc: int, idem: str) -> None:
    await store.write(accounts.take, change(10, amount_mc, "taken", idem, clock.now_ms()))


async def gift(store: JobRows, clock: ManualClock, amount_mc: int, idem: str, cap_mc: int = 10_000) -> None:
    await store.write(accounts.gift, 10, change(BEN, amount_mc, "gift", idem, clock.now_ms()), cap_mc)


async def test_taking_counts_once_and_stops_at_zero(store: JobRows, clock: ManualClock) -> None:
    await store.give_credits(10, 1, 5000, "granted", "one")
    for _ in range(2):
        await take(store, clock, 3000, "a")
    with pytest.raises(BadInput, match="Only 2 of their credits"):
        await take(store, clock, 2001, "b")
    await take(store, clock, 2000, "c")
    assert (await store.balance(10, 1, 0)).paid_mc == 0


async def test_a_gift_counts_once_within_the_cap_and_from_what_stays(
    store: JobRows, clock: ManualClock, asked: Asked
) -> None:
    await store.enqueue(asked(price_mc=1), 100_000)  # free credits are there, and stay
    await store.give_credits(10, 1, 15_000, "granted", "one")
    for _ in range(2):
        await gift(store, clock, 6000, "a")
    assert (await store.balance(BEN, 1, 0)).paid_mc == 6000
    with pytest.raises(BadInput, match="you gave 6 today"):
        await gift(store, clock, 4001, "b")
    clock.advance(DAY_S)
    await gift(store, clock, 9000, "c")
    with pytest.raises(NotEnoughCredits, match="You have 0 credits"):
        await gift(store, clock, 1, "d")


async def test_bought_credits_are_neither_taken_by_a_server_nor_given_away(store: JobRows, clock: ManualClock) -> None:
    await store.give_credits(10, 0, 5000, "bought", "one")
    with pytest.raises(BadInput):
        await take(store, clock, 1, "a")
    with pytest.raises(NotEnoughCredits):
        await gift(store, clock, 1, "b")


# ---------------------------------------------------------------- caps, lanes, weights
async def test_a_servers_cap_counts_what_is_held_and_what_was_kept(
    store: JobRows, asked: Asked, pictures: Pictures, clock: ManualClock
) -> None:
    capped = Limits(server_cap_mc=10_000)
    failed, kept = [await store.enqueue(asked(user_id=n, price_mc=5000), 100_000, capped) for n in (1, 2)]
    with pytest.raises(NotEnoughCredits, match="This server has used up"):
        await store.enqueue(asked(user_id=3, price_mc=1), 100_000, capped)
    await store.claim("boot", 2)
    await store.fail(failed.id, "boot", "broken", "It broke.")
    await store.rendered(kept.id, "boot", pictures(kept.id, 2))
    await store.enqueue(asked(user_id=3, price_mc=7500), 100_000, capped)
    relaxed = await store.enqueue(asked(user_id=4), 100_000, Limits(server_cap_mc=10_000, relax=True))
    assert (relaxed.lane, relaxed.price_mc) == ("relax", 0)
    await store.enqueue(asked(user_id=5, guild_id=2, price_mc=9000), 100_000, capped)
    clock.advance(DAY_S)
    await store.enqueue(asked(user_id=6, price_mc=10_000), 100_000, capped)


async def test_what_cannot_be_paid_is_free_and_slower_where_that_is_allowed(store: JobRows, asked: Asked) -> None:
    relax = Limits(relax=True)
    paid, free = [await store.enqueue(asked(price_mc=60_000), 100_000, relax) for _ in range(2)]
    assert (paid.lane, paid.price_mc, free.lane, free.price_mc) == ("fast", 60_000, "relax", 0)
    assert (await store.balance(10, 1, 100_000)).free_mc == 40_000
    later = await store.enqueue(asked(price_mc=40_000), 100_000, relax)
    other = await store.enqueue(asked(user_id=BEN), 100_000, relax)
    assert [job.id for job in await store.claim("boot", 9)] == [paid.id, other.id, later.id, free.id]


async def test_only_so_many_jobs_of_one_person_run_at_once(store: JobRows, asked: Asked, pictures: Pictures) -> None:
    mine = [await store.enqueue(asked(), 100_000, Limits(max_running=2)) for _ in range(4)]
    theirs = await store.enqueue(asked(user_id=BEN), 100_000, Limits(max_running=2))
    assert {job.id for job in await store.claim("boot", 9)} == {mine[0].id, mine[1].id, theirs.id}
    assert await store.claim("boot", 9) == []
    assert await store.next_ready_ms() is None, "nobody needs to look before a job ends"
    await store.rendered(mine[0].id, "boot", pictures(mine[0].id))
    assert await store.next_ready_ms() == 0
    assert [job.id for job in await store.claim("boot", 9)] == [mine[2].id]


async def test_twice_the_weight_is_served_twice_as_much(store: JobRows, asked: Asked) -> None:
    shares = {10: 1.0, BEN: 2.0}
    for user, weight in shares.items():
        for _ in range(40):
            await store.enqueue(asked(user_id=user, price_mc=0), 0, Limits(max_queued=99, weight=weight))
    served = [job.user_id for job in await store.claim("boot", 45)]
    assert (served.count(10), served.count(BEN)) == (15, 30)
