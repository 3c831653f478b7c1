"""Credits as a double-entry, append-only ledger in two phases (reserve, then settle or release). Knows no jobs' states.

Every function runs inside the caller's transaction. Amounts are millicredits; `person` is a surrogate user id.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

from bot.errors import NotEnoughCredits
from bot.languages.speech import N_, _, later
from bot.ledger.amounts import amount_text, credits_text
from bot.ledger.records import CreditChange
from bot.store import users

RENEWALS = {"day": N_("at midnight UTC"), "month": N_("on the first of the month")}
GIVEN_BACK = N_("given back")
Resolution = Literal["settle", "release"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    idem: str
    kind: str
    debit: int
    credit: int
    amount: int
    reason: str
    pending: int | None = None
    job: int | None = None


def reserve(
    db: sqlite3.Connection, person: int, guild_id: int, job_id: int, price_mc: int, now_ms: int, again: str = ""
) -> None:
    """Put a job's price aside, free credits first; `again` tells this time from earlier ones.

    Raises: NotEnoughCredits.
    """
    missing, spent = price_mc, account(db, "spent", guild_id)
    for purse in purses(db, person, guild_id):
        part = min(missing, purse["available"])
        if part > 0:
            idem = f"reserve:{job_id}:{purse['id']}{again}"
            step = Transfer(
                idem=idem, kind="reserve", debit=purse["id"], credit=spent, amount=part, reason="price", job=job_id
            )
            post(db, step, now_ms)
            missing -= part
    if missing > 0:
        raise too_dear(price_mc, price_mc - missing)


def resolve(db: sqlite3.Connection, job_id: int, charge_mc: int, now_ms: int) -> None:
    """Take `charge_mc` of what a job reserved, free credits first, and release the rest."""
    rest = charge_mc
    for open_ in _open_reservations(db, job_id):
        taken = min(rest, open_["amount"])
        kind: Resolution = "settle" if taken else "release"
        step = Transfer(
            idem=f"{kind}:{open_['id']}",
            kind=kind,
            debit=open_["debit_id"],
            credit=open_["credit_id"],
            amount=taken or open_["amount"],
            reason="pictures" if taken else GIVEN_BACK,
            pending=open_["id"],
            job=job_id,
        )
        post(db, step, now_ms)
        rest -= taken
    assert rest == 0, "a job is never charged more than it reserved"


def refund(db: sqlite3.Connection, job_id: int, amount_mc: int, now_ms: int) -> None:
    """Give back so much of what a job was charged, to where it came from: what was taken last comes back first."""
    query = "SELECT * FROM transfer WHERE job_id = ? AND kind = 'settle' ORDER BY id DESC"
    for row in db.execute(query, (job_id,)).fetchall():
        back = min(amount_mc, row["amount"])
        if not back:
            return
        idem = f"refund:{row['id']}"
        step = Transfer(
            idem=idem,
            kind="direct",
            debit=row["credit_id"],
            credit=row["debit_id"],
            amount=back,
            reason="refund",
            job=job_id,
        )
        post(db, step, now_ms)
        amount_mc -= back
    assert amount_mc == 0, "no more is given back than was taken"


def give(db: sqlite3.Connection, change: CreditChange) -> bool:
    """Add credits that don't expire. False when the change's key was used already: then nothing happens."""
    person = users.get_or_create(db, change.user_id, change.guild_id, change.now_ms)
    idem = f"give:{change.key}"
    if known(db, idem):
        return False
    issuer, paid = account(db, "issuer", change.guild_id), account(db, "paid", change.guild_id, person)
    post(db, direct(idem, issuer, paid, change.amount_mc, change.reason), change.now_ms)
    return True


def known(db: sqlite3.Connection, idem: str) -> bool:
    """Whether a transfer with this key was posted already."""
    return db.execute("SELECT 1 FROM transfer WHERE idem = ?", (idem,)).fetchone() is not None


def direct(idem: str, debit: int, credit: int, amount: int, reason: str) -> Transfer:
    return Transfer(idem=idem, kind="direct", debit=debit, credit=credit, amount=amount, reason=reason)


def post(db: sqlite3.Connection, step: Transfer, now_ms: int) -> None:
    db.execute(
        "INSERT INTO transfer (idem, kind, debit_id, credit_id, amount, pending_id, job_id, reason, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (step.idem, step.kind, step.debit, step.credit, step.amount, step.pending, step.job, step.reason, now_ms),
    )


def account(db: sqlite3.Connection, kind: str, guild_id: int, person: int | None = None, period: str = "") -> int:
    """The account's id, made when missing."""
    key = (kind, guild_id, person, period)
    where = "kind = ? AND guild_id = ? AND ifnull(user_id, 0) = ifnull(?, 0) AND period = ?"
    row = db.execute(f"SELECT id FROM account WHERE {where}", key).fetchone()
    if row is None:
        query = "INSERT INTO account (kind, guild_id, user_id, period) VALUES (?, ?, ?, ?) RETURNING id"
        row = db.execute(query, key).fetchone()
    return int(row["id"])


def purses(db: sqlite3.Connection, person: int, guild_id: int) -> list[sqlite3.Row]:
    """What may be spent now, in the order it is spent: the latest free credits, paid ones, those bought for everywhere.

    `allowance.renew` has emptied a free account whose period is over.
    """
    return db.execute(
        """
        SELECT * FROM (
          SELECT * FROM account WHERE id = (
            SELECT max(id) FROM account WHERE user_id = :person AND guild_id = :guild AND kind = 'free')
          UNION ALL
          SELECT * FROM account WHERE user_id = :person AND guild_id IN (:guild, 0) AND kind = 'paid')
        ORDER BY kind = 'paid', guild_id = 0
        """,
        {"person": person, "guild": guild_id},
    ).fetchall()


def available(db: sqlite3.Connection, person: int, guild_id: int) -> int:
    """Millicredits that may be spent now."""
    return sum(row["available"] for row in purses(db, person, guild_id))


def expire(db: sqlite3.Connection, held: sqlite3.Row, now_ms: int) -> None:
    """Empty a purse; what is reserved of it stays until it resolves."""
    if held["available"] > 0:
        gone = account(db, "expired", held["guild_id"])
        idem = f"expire:{held['id']}:{held['debits_posted']}"  # that number only grows
        post(db, direct(idem, held["id"], gone, held["available"], "expired"), now_ms)


def _open_reservations(db: sqlite3.Connection, job_id: int) -> list[sqlite3.Row]:
    return db.execute(
        """
        SELECT t.* FROM transfer t JOIN account a ON a.id = t.debit_id
        WHERE t.job_id = ? AND t.kind = 'reserve' AND NOT EXISTS (SELECT 1 FROM transfer r WHERE r.pending_id = t.id)
        ORDER BY a.kind = 'paid', t.id
        """,
        (job_id,),
    ).fetchall()


def too_dear(price_mc: int, left_mc: int, period: str = "day") -> NotEnoughCredits:
    """What somebody who cannot pay reads."""
    return NotEnoughCredits(
        "This costs {price} and you have {left} left. "
        "Ask for fewer, smaller or quicker pictures; free credits come back {when}.",
        price=later(credits_text, price_mc),
        left=later(amount_text, left_mc),
        when=later(_, RENEWALS[period]),
    )
