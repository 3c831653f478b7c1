"""What somebody has, and moving it by hand: balance, last entries, taking back, gifts. Knows no jobs' states.

Every function runs inside the caller's transaction. Amounts are millicredits; ids are Discord's.
"""

from __future__ import annotations

import sqlite3

from bot.errors import BadInput, NotEnoughCredits
from bot.languages.speech import later
from bot.ledger import allowance, transfers
from bot.ledger.allowance import Period
from bot.ledger.amounts import amount_text, credits_text
from bot.ledger.records import Balance, CreditChange, Entry
from bot.store import users
from bot.store.clock import DAY_MS


def balance(
    db: sqlite3.Connection, user_id: int, guild_id: int, allowance_mc: int, period: Period, now_ms: int
) -> Balance:
    """Somebody's credits; an allowance that would be granted now counts as granted."""
    free, renews_at_ms = allowance.outlook(db, user_id, guild_id, allowance_mc, period, now_ms)
    person = users.find(db, user_id)
    purses = [] if person is None else transfers.purses(db, person, guild_id)
    return Balance(
        free_mc=free,
        paid_mc=sum(purse["available"] for purse in purses if purse["kind"] == "paid"),
        reserved_mc=0 if person is None else _reserved(db, person, guild_id),
        renews_at_ms=renews_at_ms,
    )


def _reserved(db: sqlite3.Connection, person: int, guild_id: int) -> int:
    """What a person's jobs hold that this server pays for, whichever purse it came from."""
    query = (
        "SELECT ifnull(sum(quote), 0) AS held FROM job"
        " WHERE user_id = ? AND server_id = ? AND state IN ('queued', 'running')"
    )
    return int(db.execute(query, (person, guild_id)).fetchone()["held"])


def entries(db: sqlite3.Connection, user_id: int, guild_id: int, limit: int) -> list[Entry]:
    """The newest lines of somebody's purses: what came and went, and what is still reserved."""
    rows = db.execute(
        """
        WITH mine AS (
          SELECT id FROM account a WHERE kind = 'paid' AND user_id = :person AND guild_id IN (:guild, 0)
          UNION ALL
          SELECT id FROM (SELECT id FROM account WHERE kind = 'free' AND user_id = :person AND guild_id = :guild
                          ORDER BY id DESC LIMIT :limit)), -- each of these has a line at least
        line AS (
          SELECT t.*, -t.amount AS change FROM mine JOIN transfer t ON t.id IN (
            SELECT id FROM transfer WHERE debit_id = mine.id AND kind <> 'release'
              AND NOT (kind = 'reserve' AND EXISTS (SELECT 1 FROM transfer r WHERE r.pending_id = transfer.id))
            ORDER BY id DESC LIMIT :limit)
          UNION ALL
          SELECT t.*, t.amount FROM mine JOIN transfer t ON t.id IN (
            SELECT id FROM transfer WHERE credit_id = mine.id ORDER BY id DESC LIMIT :limit))
        SELECT created_at, reason, job_id, change AS amount FROM line ORDER BY id DESC LIMIT :limit
        """,
        {"person": users.find(db, user_id), "guild": guild_id, "limit": limit},
    )
    return [
        Entry(at_ms=row["created_at"], amount_mc=row["amount"], reason=row["reason"], job_id=row["job_id"])
        for row in rows
    ]


def take(db: sqlite3.Connection, change: CreditChange) -> bool:
    """Take credits that don't expire back to the issuer. False when the key was used already. Raises: BadInput."""
    idem = f"take:{change.key}"
    if transfers.known(db, idem):
        return False
    person = users.get_or_create(db, change.user_id, change.guild_id, change.now_ms)
    purse, left = _paid(db, person, change.guild_id)
    if change.amount_mc > left:
        raise BadInput(
            "Only {left} of their credits can be taken here, not {amount}. Nothing was taken. Free credits can't "
            "be taken: limit them with /admin quota.",
            left=amount_text(left),
            amount=amount_text(change.amount_mc),
        )
    issuer = transfers.account(db, "issuer", change.guild_id)
    transfers.post(db, transfers.direct(idem, purse, issuer, change.amount_mc, change.reason), change.now_ms)
    return True


def gift(db: sqlite3.Connection, giver_id: int, change: CreditChange, cap_mc: int) -> bool:
    """Move credits that don't expire from one member to another, at most `cap_mc` a day.

    Free credits can't be given: they would add up in another member's account. False when the key was used already.
    Raises: NotEnoughCredits, BadInput.
    """
    idem = f"gift:{change.key}"
    if transfers.known(db, idem):
        return False
    guild_id, now_ms = change.guild_id, change.now_ms
    giver, receiver = (users.get_or_create(db, each, guild_id, now_ms) for each in (giver_id, change.user_id))
    purse, left = _paid(db, giver, guild_id)
    given = _given_today(db, purse, now_ms)
    if given + change.amount_mc > cap_mc:
        raise BadInput(
            "Members can give {cap} a day here, and you gave {given} today. Give fewer, or wait until midnight UTC.",
            cap=later(credits_text, cap_mc),
            given=amount_text(given),
        )
    if change.amount_mc > left:
        raise NotEnoughCredits(
            "You have {left} to give away. Free credits can't be given.", left=later(credits_text, left)
        )
    to, _ = _paid(db, receiver, guild_id)
    transfers.post(db, transfers.direct(idem, purse, to, change.amount_mc, change.reason), now_ms)
    return True


def _paid(db: sqlite3.Connection, person: int, guild_id: int) -> tuple[int, int]:
    """(id, what is left) of somebody's paid purse in this server."""
    purse = transfers.account(db, "paid", guild_id, person)
    row = db.execute("SELECT available FROM account WHERE id = ?", (purse,)).fetchone()
    return purse, int(row["available"])


def _given_today(db: sqlite3.Connection, purse: int, now_ms: int) -> int:
    row = db.execute(
        "SELECT ifnull(sum(amount), 0) AS given FROM transfer"
        " WHERE debit_id = ? AND kind = 'direct' AND reason = 'gift' AND created_at >= ?",
        (purse, now_ms - now_ms % DAY_MS),
    ).fetchone()
    return int(row["given"])
