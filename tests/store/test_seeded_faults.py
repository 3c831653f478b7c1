"""Do the checks check? Faults are put into the store on purpose, one at a time, and each must be caught.

`a_busy_day` is a life with everything in it that moves credits; after each step the books are looked at. Without a
fault it passes. With a fault, a CHECK, a trigger or a key refuses, a `bad_*` view shows a row, or a sum is off.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bot.errors import BadInput, NotEnoughCredits
from bot.jobs import deliveries, lifecycle
from bot.jobs.records import NewImage, NewJob
from bot.ledger import accounts, allowance, transfers
from bot.ledger.records import Limits
from bot.store.clock import ManualClock
from bot.store.errors import NotRunning
from tests.job_rows import JobRows
from tests.store.ledger_model import change

Asked = Callable[..., NewJob]
Pictures = Callable[..., list[NewImage]]
FREE = 100_000
ANN, BEN = 10, 11
DAY_S = 86_400


# ---------------------------------------------------------------- a life, and what must hold in it
async def sound(store: JobRows) -> None:
    """The books balance."""
    if problems := await store.problems():
        raise AssertionError("; ".join(problems))


async def net_mc(store: JobRows, job_id: int) -> int:
    """What a job cost in the end, by the transfers alone."""
    query = (
        "SELECT ifnull(sum(CASE WHEN kind = 'settle' THEN amount WHEN reason = 'refund' THEN -amount END), 0)"
        " FROM transfer WHERE job_id = ? AND kind IN ('settle', 'direct')"
    )
    return int(await store.read(lambda db: db.execute(query, (job_id,)).fetchone()[0]))


async def has(store: JobRows, user: int, free: int, paid: int = 0) -> None:
    balance = await store.balance(user, 1, FREE)
    assert (balance.free_mc, balance.paid_mc) == (free, paid), "a balance is off"


async def a_busy_day(store: JobRows, asked: Asked, pictures: Pictures, clock: ManualClock) -> None:
    """Raises whatever catches a fault."""
    await _paid_partly_failed_cancelled(store, asked, pictures)
    await _undeliverable(store, asked, pictures)
    await _two_processes(store, asked, pictures)
    await _by_hand(store, asked, clock)
    await _another_day(store, asked, clock)
    await _gone_and_back(store, asked, pictures, clock)


async def _paid_partly_failed_cancelled(store: JobRows, asked: Asked, pictures: Pictures) -> None:
    partly, failed, running, queued = [await store.enqueue(asked(price_mc=4003), FREE) for _ in range(4)]
    await sound(store)
    await store.claim("boot", 3)
    await store.rendered(partly.id, "boot", pictures(partly.id, 3))
    await sound(store)
    [owed] = await store.due_deliveries()
    await store.delivered(owed.id, 1)
    assert await net_mc(store, partly.id) == 3002, "three pictures of four are not three quarters, in their favour"
    await store.fail(failed.id, "boot", "broken", "It broke.")
    await sound(store)
    for job in (running, queued):
        assert (await store.cancel(job.id)).state == "cancelled"
        await sound(store)
    await has(store, ANN, FREE - 3002)


async def _undeliverable(store: JobRows, asked: Asked, pictures: Pictures) -> None:
    job = await store.enqueue(asked(), FREE)
    await store.claim("boot", 1)
    await store.rendered(job.id, "boot", pictures(job.id))
    owed = next(each for each in await store.due_deliveries() if each.job_id == job.id)
    await store.delivery_failed(owed.id, retry_at_ms=None)
    await sound(store)
    assert await net_mc(store, job.id) == 0, "an undelivered result was paid"


async def _two_processes(store: JobRows, asked: Asked, pictures: Pictures) -> None:
    """A process that lost its job must not end it; one that came back must not end it twice."""
    job = await store.enqueue(asked(), FREE)
    await store.claim("boot", 1)
    await store.recover("next")
    await sound(store)
    await store.claim("next", 1)
    for late in (
        lambda: store.rendered(job.id, "boot", pictures(job.id)),
        lambda: store.fail(job.id, "boot", "late", "Too late."),
        lambda: store.requeue(job.id, "boot", count_attempt=True),
    ):
        with pytest.raises(NotRunning):
            await late()
    await store.requeue(job.id, "next", count_attempt=False)
    await sound(store)
    await store.claim("next", 1)
    await store.rendered(job.id, "next", pictures(job.id))
    with pytest.raises(NotRunning):
        await store.rendered(job.id, "next", pictures(job.id))
    await sound(store)
    await store.delivered((await store.due_deliveries())[-1].id, 1)
    await has(store, ANN, FREE - 7002)


async def _by_hand(store: JobRows, asked: Asked, clock: ManualClock) -> None:
    for _ in range(2):
        await store.give_credits(ANN, 1, 9000, "granted", "one")
        await store.write(accounts.gift, ANN, change(BEN, 2000, "gift", "two", clock.now_ms()), 5000)
        await store.write(accounts.take, change(BEN, 500, "taken", "three", clock.now_ms()))
    await sound(store)
    await has(store, ANN, FREE - 7002, 7000)
    await has(store, BEN, FREE, 1500)
    with pytest.raises(BadInput):
        await store.write(accounts.take, change(BEN, 1501, "taken", "four", clock.now_ms()))
    with pytest.raises(NotEnoughCredits):
        await store.enqueue(asked(user_id=BEN, price_mc=FREE + 1501), FREE)
    relaxed = await store.enqueue(asked(user_id=BEN, price_mc=FREE + 1501), FREE, Limits(relax=True))
    assert (relaxed.lane, relaxed.price_mc) == ("relax", 0), "the relax lane is free"
    await store.cancel(relaxed.id)
    await sound(store)


async def _another_day(store: JobRows, asked: Asked, clock: ManualClock) -> None:
    clock.advance(DAY_S)
    for _ in range(2):
        job = await store.enqueue(asked(), FREE)
        await sound(store)
        await store.cancel(job.id)
    await has(store, ANN, FREE, 7000)
    clock.advance(-DAY_S)
    await store.cancel((await store.enqueue(asked(), FREE)).id)
    await has(store, ANN, FREE, 7000)
    clock.advance(DAY_S)


async def _gone_and_back(store: JobRows, asked: Asked, pictures: Pictures, clock: ManualClock) -> None:
    job = await store.enqueue(asked(price_mc=30_000), FREE)
    await store.claim("next", 1)
    await store.rendered(job.id, "next", pictures(job.id))
    await store.delivered((await store.due_deliveries())[-1].id, 1)

    def forget(db: sqlite3.Connection) -> None:
        allowance.leave(db, ANN, clock.now_ms())
        db.execute("UPDATE user SET discord_id = NULL WHERE discord_id = ?", (ANN,))

    await store.write(forget)
    await sound(store)
    await has(store, ANN, FREE - 30_000)
    await store.cancel((await store.enqueue(asked(), FREE)).id)
    await has(store, ANN, FREE - 30_000)
    await sound(store)


# ---------------------------------------------------------------- the faults
@dataclass(frozen=True)
class Fault:
    """Something put wrong, in Python or in the schema, and the words of the check that must catch it."""

    caught_by: str
    patch: Callable[[pytest.MonkeyPatch], None] = lambda patch: None
    sql: tuple[str, ...] = ()


def replaced(module: Any, name: str, new: Callable[..., Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """`new` gets the true function first."""
    true = getattr(module, name)
    return lambda patch: patch.setattr(module, name, lambda *args, **kwargs: new(true, *args, **kwargs))


def nothing(true: Any, *args: Any, **kwargs: Any) -> None:
    return None


def twice(true: Any, *args: Any, **kwargs: Any) -> None:
    true(*args, **kwargs)
    true(*args, **kwargs)


def only_settles(true: Any, db: sqlite3.Connection, job_id: int, charge_mc: int, now_ms: int) -> None:
    if charge_mc:
        true(db, job_id, charge_mc, now_ms)


def settles_twice(true: Any, db: sqlite3.Connection, step: transfers.Transfer, now_ms: int) -> None:
    true(db, step, now_ms)
    if step.kind == "settle":
        true(db, replace(step, idem=step.idem + ":again"), now_ms)


def pays_again(true: Any, db: sqlite3.Connection, step: transfers.Transfer, now_ms: int) -> None:
    """A settlement posted once more, as a plain transfer."""
    true(db, step, now_ms)
    if step.kind == "settle":
        true(db, replace(step, idem=step.idem + ":again", kind="direct", pending=None, reason="refund"), now_ms)


def unfenced(true: Any, db: sqlite3.Connection, job_id: int, boot_id: str) -> Any:
    return lifecycle.get(db, job_id)


def fenced_by_state_only(true: Any, db: sqlite3.Connection, job_id: int, boot_id: str) -> Any:
    job = lifecycle.get(db, job_id)
    if job.state != "running":
        raise NotRunning("not running")
    return job


def charges_all(true: Any, db: sqlite3.Connection, job_id: int, charge_mc: int, now_ms: int) -> None:
    true(db, job_id, lifecycle.get(db, job_id).price_mc if charge_mc else 0, now_ms)


def rounds_up(true: Any, db: sqlite3.Connection, job_id: int, charge_mc: int, now_ms: int) -> None:
    charge_mc += 1 if 0 < charge_mc < lifecycle.get(db, job_id).price_mc else 0
    true(db, job_id, charge_mc, now_ms)


def releases_on_requeue(true: Any, db: sqlite3.Connection, job_id: int, *rest: Any, **named: Any) -> None:
    true(db, job_id, *rest, **named)
    transfers.resolve(db, job_id, 0, 0)


def refunds_under_new_keys(true: Any, db: sqlite3.Connection, job_id: int, amount_mc: int, now_ms: int) -> None:
    true(db, job_id, amount_mc, now_ms)
    post = transfers.post
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfers, "post", lambda d, step, at: post(d, replace(step, idem=step.idem + ":again"), at))
        true(db, job_id, amount_mc, now_ms)


def grants_beside_the_books(true: Any, db: sqlite3.Connection, user: int, guild: int, *rest: Any) -> None:
    true(db, user, guild, *rest)
    person = db.execute("SELECT id FROM user WHERE discord_id = ?", (user,)).fetchone()[0]
    if (held := allowance.newest(db, person, guild)) is not None:
        issuer = transfers.account(db, "issuer", guild)
        idem = f"grant:{held['id']}:{db.total_changes}"
        transfers.post(db, transfers.direct(idem, issuer, held["id"], 100_000, "free credits"), 0)


def sees_no_earlier_grant(true: Any, *args: Any) -> None:
    return None


def reserves_blindly(true: Any, db: sqlite3.Connection, person: int, guild: int, job: int, price: int, at: int) -> None:
    purse = transfers.purses(db, person, guild)[0]
    step = transfers.Transfer(
        idem=f"reserve:{job}", kind="reserve", debit=purse["id"], credit=transfers.account(db, "spent", guild),
        amount=price, reason="price", job=job,
    )  # fmt: skip
    transfers.post(db, step, at)


def owes_a_result(true: Any, db: sqlite3.Connection, job_id: int, kind: str, now_ms: int) -> None:
    true(db, job_id, "result", now_ms)


def knows_nothing(true: Any, db: sqlite3.Connection, idem: str) -> bool:
    return False


def endless(true: Any, db: sqlite3.Connection, *args: Any) -> Any:
    return 10**9


FAULTS = {
    "failing and cancelling release nothing": Fault("bad_job_credit", replaced(transfers, "resolve", only_settles)),
    "finishing settles nothing": Fault("bad_job_credit", replaced(transfers, "resolve", nothing)),
    "a settlement is posted twice": Fault("transfer.pending_id", replaced(transfers, "post", settles_twice)),
    "a settlement is posted again as another kind": Fault("bad_job_charge", replaced(transfers, "post", pays_again)),
    "a partly delivered job is charged in full": Fault("bad_job_charge", replaced(transfers, "resolve", charges_all)),
    "the charge is rounded up": Fault("bad_job_charge", replaced(transfers, "resolve", rounds_up)),
    "no fence at all": Fault("DID NOT RAISE", replaced(lifecycle, "_held", unfenced)),
    "a fence that forgets the process": Fault("DID NOT RAISE", replaced(lifecycle, "_held", fenced_by_state_only)),
    "queueing again releases": Fault("bad_job_credit", replaced(lifecycle, "_put_back", releases_on_requeue)),
    "an undeliverable result is not refunded": Fault("bad_job_charge", replaced(transfers, "refund", nothing)),
    "an undeliverable result is refunded twice": Fault(
        "bad_job_charge", replaced(transfers, "refund", refunds_under_new_keys)
    ),
    "a refund is repeated": Fault("transfer.idem", replaced(transfers, "refund", twice)),
    "every job grants the allowance": Fault(
        "allowance.account_id", replaced(allowance, "_latest", sees_no_earlier_grant)
    ),
    "credits are issued beside the allowance": Fault(
        "bad_allowance", replaced(allowance, "renew", grants_beside_the_books)
    ),
    "who comes back gets everything": Fault("a balance is off", replaced(allowance, "_remember_use", nothing)),
    "leaving keeps the purses": Fault("a balance is off", replaced(allowance, "leave", nothing)),
    "a price is reserved without looking": Fault(
        "bad_job_credit|no_overdraft|DID NOT RAISE",
        lambda patch: (
            replaced(transfers, "reserve", reserves_blindly)(patch),
            replaced(transfers, "available", endless)(patch),
            None,
        )[2],
    ),
    "grants, gifts and takings forget their keys": Fault("transfer.idem", replaced(transfers, "known", knows_nothing)),
    "a failure owes nobody a word": Fault("bad_delivery", replaced(deliveries, "enqueue_delivery", nothing)),
    "a failure owes a result": Fault("bad_delivery", replaced(deliveries, "enqueue_delivery", owes_a_result)),
    "the relax lane keeps its price": Fault(
        "CHECK constraint failed: lane",
        lambda patch: patch.setattr(lifecycle, "_in_lane", lambda db, person, new, *rest: replace(new, lane="relax")),
    ),
    "the balance trigger forgets what was reserved": Fault(
        "bad_balance",
        sql=(
            "DROP TRIGGER transfer_apply",
            "CREATE TRIGGER transfer_apply AFTER INSERT ON transfer BEGIN"
            " UPDATE account SET debits_posted = debits_posted + iif(NEW.kind IN ('direct','settle'), NEW.amount, 0)"
            " WHERE id = NEW.debit_id;"
            " UPDATE account SET credits_posted = credits_posted + iif(NEW.kind IN ('direct','settle'), NEW.amount, 0)"
            " WHERE id = NEW.credit_id; END",
        ),
    ),
    "only one side is booked": Fault(
        "bad_balance|bad_sum",
        sql=(
            "DROP TRIGGER transfer_apply",
            "CREATE TRIGGER transfer_apply AFTER INSERT ON transfer BEGIN"
            " UPDATE account SET credits_posted = credits_posted + iif(NEW.kind IN ('direct','settle'), NEW.amount, 0)"
            " WHERE id = NEW.credit_id; END",
        ),
    ),
    "a resolution may name another amount": Fault(
        "bad_balance|CHECK|bad_job",
        lambda patch: patch.setattr(
            transfers, "post", _inflated(transfers.post)
        ),
        sql=("DROP TRIGGER transfer_check",),
    ),
}  # fmt: skip


def _inflated(true: Any) -> Callable[..., None]:
    return lambda db, step, at: true(db, replace(step, amount=step.amount + 1) if step.kind == "settle" else step, at)


async def live(folder: Path, asked: Asked, pictures: Pictures, sql: Iterable[str] = ()) -> None:
    clock = ManualClock()
    async with JobRows.open(folder / "easel.db", clock) as store:
        for statement in sql:
            await store.write(lambda db, what=statement: db.execute(what))
        await a_busy_day(store, asked, pictures, clock)


async def test_without_a_fault_everything_holds(tmp_path: Path, asked: Asked, pictures: Pictures) -> None:
    await live(tmp_path, asked, pictures)


@pytest.mark.parametrize("name", FAULTS)
async def test_a_seeded_fault_is_caught(
    tmp_path: Path, asked: Asked, pictures: Pictures, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fault = FAULTS[name]
    fault.patch(monkeypatch)
    with pytest.raises((Exception, pytest.fail.Exception)) as caught:  # a sum, a constraint, or "did not raise"
        await live(tmp_path, asked, pictures, fault.sql)
    words = f"{caught.type.__name__}: {caught.value}"
    assert any(word in words for word in fault.caught_by.split("|")), words
