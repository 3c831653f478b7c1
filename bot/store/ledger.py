"""Credits as a double-entry, append-only ledger in two phases (reserve, then settle or release). Knows no jobs' states.

Every function runs inside the caller's transaction. Amounts are millicredits; `person` is a surrogate user id.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from bot.errors import NotEnoughCredits
from bot.store import people
from bot.store.records import Balance, Entry

DAY_MS = 86_400_000
Resolution = Literal["settle", "release"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Transfer:
    idem: str
    kind: str
    debit: int
    credit: int
    amount: int
    reason: str
    pending: int | None = None
    job: int | None = None


def day_of(now_ms: int) -> str:
    """The period of the free allowance: the UTC day."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d")


def grant_allowance(db: sqlite3.Connection, person: int, guild_id: int, allowance_mc: int, now_ms: int) -> None:
    """Give the day's free credits, once; what is left of an earlier day expires.

    The account is the key, so no timer is needed. A clock set back finds the later day's account and grants nothing.
    """
    today, latest = day_of(now_ms), _latest_free(db, person, guild_id)
    if allowance_mc <= 0 or (latest is not None and latest["period"] >= today):
        return
    if latest is not None and latest["available"] > 0:
        expired = _account(db, "expired", guild_id)
        gone = f"expire:{latest['id']}:{today}"
        _post(db, _direct(gone, latest["id"], expired, latest["available"], "expired"), now_ms)
    free = _account(db, "free", guild_id, person, today)
    issuer = _account(db, "issuer", guild_id)
    _post(db, _direct(f"grant:{free}", issuer, free, allowance_mc, f"free credits of {today}"), now_ms)


def reserve(db: sqlite3.Connection, person: int, guild_id: int, job_id: int, price_mc: int, now_ms: int) -> None:
    """Put a job's price aside, free credits first. Raises: NotEnoughCredits."""
    missing, spent = price_mc, _account(db, "spent", guild_id)
    for account in _purses(db, person, guild_id):
        part = min(missing, account["available"])
        if part > 0:
            idem = f"reserve:{job_id}:{account['id']}"
            step = _Transfer(
                idem=idem, kind="reserve", debit=account["id"], credit=spent, amount=part, reason="price", job=job_id
            )
            _post(db, step, now_ms)
            missing -= part
    if missing > 0:
        raise NotEnoughCredits(_too_dear(price_mc, price_mc - missing))


def resolve(db: sqlite3.Connection, job_id: int, charge_mc: int, now_ms: int) -> None:
    """Take `charge_mc` of what a job reserved, free credits first, and release the rest."""
    rest = charge_mc
    for open_ in _open_reservations(db, job_id):
        taken = min(rest, open_["amount"])
        kind: Resolution = "settle" if taken else "release"
        step = _Transfer(
            idem=f"{kind}:{open_['id']}",
            kind=kind,
            debit=open_["debit_id"],
            credit=open_["credit_id"],
            amount=taken or open_["amount"],
            reason="pictures" if taken else "given back",
            pending=open_["id"],
            job=job_id,
        )
        _post(db, step, now_ms)
        rest -= taken
    assert rest == 0, "a job is never charged more than it reserved"


def refund(db: sqlite3.Connection, job_id: int, now_ms: int) -> None:
    """Give back everything a job was charged, to where it came from."""
    settled = db.execute("SELECT * FROM transfer WHERE job_id = ? AND kind = 'settle'", (job_id,)).fetchall()
    for row in settled:
        idem = f"refund:{row['id']}"
        step = _Transfer(
            idem=idem,
            kind="direct",
            debit=row["credit_id"],
            credit=row["debit_id"],
            amount=row["amount"],
            reason="refund",
            job=job_id,
        )
        _post(db, step, now_ms)


def give(
    db: sqlite3.Connection, user_id: int, guild_id: int, amount_mc: int, reason: str, idem: str, now_ms: int
) -> None:
    """Add credits that do not expire; the same `idem` counts once."""
    person = people.ensure(db, user_id, guild_id, now_ms)
    if db.execute("SELECT 1 FROM transfer WHERE idem = ?", (f"give:{idem}",)).fetchone():
        return
    issuer, paid = _account(db, "issuer", guild_id), _account(db, "paid", guild_id, person)
    _post(db, _direct(f"give:{idem}", issuer, paid, amount_mc, reason), now_ms)


def balance(db: sqlite3.Connection, user_id: int, guild_id: int, allowance_mc: int, now_ms: int) -> Balance:
    """Somebody's credits; an allowance that would be granted now counts as granted."""
    person = people.find(db, user_id)
    free = None if person is None else _latest_free(db, person, guild_id)
    if free is not None and free["period"] < day_of(now_ms) and allowance_mc > 0:
        free = None
    purses = [] if person is None else _purses(db, person, guild_id)
    paid = next((row["available"] for row in purses if row["kind"] == "paid"), 0)
    return Balance(
        free_mc=allowance_mc if free is None else free["available"],
        paid_mc=paid,
        reserved_mc=0 if person is None else _reserved(db, person, guild_id),
        renews_at_ms=_next_day_ms(free, now_ms),
    )


def entries(db: sqlite3.Connection, user_id: int, guild_id: int, limit: int) -> list[Entry]:
    """The newest lines of somebody's purses: what came and went, and what is still reserved."""
    rows = db.execute(
        """
        SELECT t.created_at, t.reason, t.job_id, iif(t.credit_id = a.id, t.amount, -t.amount) AS amount
        FROM account a JOIN user u ON u.id = a.user_id JOIN transfer t ON a.id IN (t.debit_id, t.credit_id)
        WHERE u.discord_id = ? AND a.guild_id = ? AND t.kind <> 'release'
          AND NOT (t.kind = 'reserve' AND EXISTS (SELECT 1 FROM transfer r WHERE r.pending_id = t.id))
        ORDER BY t.id DESC LIMIT ?
        """,
        (user_id, guild_id, limit),
    )
    return [
        Entry(at_ms=row["created_at"], amount_mc=row["amount"], reason=row["reason"], job_id=row["job_id"])
        for row in rows
    ]


def _direct(idem: str, debit: int, credit: int, amount: int, reason: str) -> _Transfer:
    return _Transfer(idem=idem, kind="direct", debit=debit, credit=credit, amount=amount, reason=reason)


def _post(db: sqlite3.Connection, step: _Transfer, now_ms: int) -> None:
    db.execute(
        "INSERT INTO transfer (idem, kind, debit_id, credit_id, amount, pending_id, job_id, reason, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (step.idem, step.kind, step.debit, step.credit, step.amount, step.pending, step.job, step.reason, now_ms),
    )


def _account(db: sqlite3.Connection, kind: str, guild_id: int, person: int | None = None, period: str = "") -> int:
    """The account's id, made when missing."""
    key = (kind, guild_id, person, period)
    db.execute("INSERT INTO account (kind, guild_id, user_id, period) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", key)
    where = "kind = ? AND guild_id = ? AND ifnull(user_id, 0) = ifnull(?, 0) AND period = ?"
    return int(db.execute(f"SELECT id FROM account WHERE {where}", key).fetchone()["id"])


def _latest_free(db: sqlite3.Connection, person: int, guild_id: int) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM account WHERE user_id = ? AND guild_id = ? AND kind = 'free' ORDER BY period DESC LIMIT 1",
        (person, guild_id),
    ).fetchone()
    return row


def _purses(db: sqlite3.Connection, person: int, guild_id: int) -> list[sqlite3.Row]:
    """What may be spent now, in the order it is spent: the latest day's free credits, then the paid ones."""
    free = _latest_free(db, person, guild_id)
    paid = db.execute(
        "SELECT * FROM account WHERE user_id = ? AND guild_id = ? AND kind = 'paid'", (person, guild_id)
    ).fetchall()
    return ([free] if free is not None else []) + paid


def _open_reservations(db: sqlite3.Connection, job_id: int) -> list[sqlite3.Row]:
    return db.execute(
        """
        SELECT t.* FROM transfer t JOIN account a ON a.id = t.debit_id
        WHERE t.job_id = ? AND t.kind = 'reserve' AND NOT EXISTS (SELECT 1 FROM transfer r WHERE r.pending_id = t.id)
        ORDER BY a.kind = 'paid', t.id
        """,
        (job_id,),
    ).fetchall()


def _reserved(db: sqlite3.Connection, person: int, guild_id: int) -> int:
    query = "SELECT ifnull(sum(debits_pending), 0) AS held FROM account WHERE user_id = ? AND guild_id = ?"
    return int(db.execute(query, (person, guild_id)).fetchone()["held"])


def _next_day_ms(free: sqlite3.Row | None, now_ms: int) -> int:
    """When the allowance renews: midnight UTC after the period in use (a later day's, if the clock was set back)."""
    today = now_ms - now_ms % DAY_MS
    if free is None or free["period"] <= day_of(now_ms):
        return today + DAY_MS
    return int(datetime.fromisoformat(free["period"]).replace(tzinfo=UTC).timestamp() * 1000) + DAY_MS


def _too_dear(price_mc: int, left_mc: int) -> str:
    return (
        f"This costs {price_mc / 1000:g} credits and you have {left_mc / 1000:g} left. "
        "Ask for fewer, smaller or quicker pictures; free credits come back at midnight UTC."
    )
