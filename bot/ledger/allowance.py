"""The free allowance: granted lazily, once a period, never piled up, never twice for leaving and coming back.

The account is the key, so no timer is needed: a machine that was off for a month grants one day. A clock set back finds
the later period's account and grants nothing. Every function runs inside the caller's transaction.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from datetime import UTC, datetime
from typing import Literal

from bot.languages.speech import N_
from bot.ledger import transfers
from bot.store import key_values, users
from bot.store.clock import DAY_MS

Period = Literal["day", "month"]
FORMS: dict[Period, str] = {"day": "%Y-%m-%d", "month": "%Y-%m"}
KEY = "tombstone-key"
GRANTED, RAISED = N_("free credits of {period}"), N_("more free credits of {period}")
"""What the ledger says of them, in English: who reads it gets it in their language."""


def label_of(period: Period, now_ms: int) -> str:
    """The period's name: "2026-01-31" or "2026-01", in UTC."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime(FORMS[period])


def ends_ms(label: str) -> int:
    """When a period is over."""
    if len(label) > 7:
        return _ms(datetime.fromisoformat(label)) + DAY_MS
    year, month = int(label[:4]), int(label[5:])
    return _ms(datetime(year + month // 12, month % 12 + 1, 1))


def _ms(midnight: datetime) -> int:
    return int(midnight.replace(tzinfo=UTC).timestamp() * 1000)


def renew(db: sqlite3.Connection, user_id: int, guild_id: int, amount_mc: int, period: Period, now_ms: int) -> None:
    """Give the period's free credits if they are due; what is left of an earlier period expires.

    Terms that became more generous within a period add the difference, once.
    """
    person = users.get(db, user_id)
    held, label = newest(db, person, guild_id), label_of(period, now_ms)
    if held is not None and ends_ms(held["period"]) <= now_ms:
        transfers.expire(db, held, now_ms)
    same = _latest(db, person, guild_id, period)
    if same is None or same["period"] < label:
        if amount_mc > 0:
            _grant(db, user_id, guild_id, label, amount_mc, now_ms)
    elif held is not None and same["id"] == held["id"] and amount_mc > same["entitled"]:
        _raise(db, same, amount_mc, now_ms)


def _grant(db: sqlite3.Connection, user_id: int, guild_id: int, label: str, amount_mc: int, now_ms: int) -> None:
    person = users.get(db, user_id)
    if (held := newest(db, person, guild_id)) is not None:
        transfers.expire(db, held, now_ms)  # another kind of period: one free purse at a time
    account = transfers.account(db, "free", guild_id, person, label)
    carried = _used_before(db, user_id, guild_id, label)
    db.execute("INSERT INTO allowance VALUES (?, ?, ?)", (account, amount_mc, carried))
    _issue(db, account, guild_id, max(0, amount_mc - carried), f"grant:{account}", GRANTED.format(period=label), now_ms)


def _raise(db: sqlite3.Connection, held: sqlite3.Row, amount_mc: int, now_ms: int) -> None:
    more = _granted(amount_mc, held["carried"]) - _granted(held["entitled"], held["carried"])
    db.execute("UPDATE allowance SET entitled = ? WHERE account_id = ?", (amount_mc, held["id"]))
    idem = f"grant:{held['id']}:{amount_mc}"
    _issue(db, held["id"], held["guild_id"], more, idem, RAISED.format(period=held["period"]), now_ms)


def _granted(entitled: int, carried: int) -> int:
    return max(0, entitled - carried)


def _issue(
    db: sqlite3.Connection, account: int, guild_id: int, amount_mc: int, idem: str, reason: str, now_ms: int
) -> None:
    if amount_mc > 0:
        issuer = transfers.account(db, "issuer", guild_id)
        transfers.post(db, transfers.direct(idem, issuer, account, amount_mc, reason), now_ms)


def outlook(
    db: sqlite3.Connection, user_id: int, guild_id: int, amount_mc: int, period: Period, now_ms: int
) -> tuple[int, int]:
    """(free millicredits, when they renew in epoch ms) as `renew` would leave them; nothing is written."""
    label = label_of(period, now_ms)
    person = users.find(db, user_id)
    held = None if person is None else newest(db, person, guild_id)
    same = None if person is None else _latest(db, person, guild_id, period)
    if same is None or same["period"] < label:
        if amount_mc > 0:
            return _granted(amount_mc, _used_before(db, user_id, guild_id, label)), ends_ms(label)
    elif held is not None and same["id"] == held["id"]:
        more = _granted(max(amount_mc, held["entitled"]), held["carried"]) - _granted(held["entitled"], held["carried"])
        return held["available"] + more, ends_ms(held["period"])
    live = held is not None and ends_ms(held["period"]) > now_ms
    return (held["available"] if held is not None and live else 0), ends_ms(label)


def newest(db: sqlite3.Connection, person: int, guild_id: int) -> sqlite3.Row | None:
    """The one free account that counts: the latest made."""
    return _one(db, person, guild_id, "1", "a.id DESC", "account_last")


def _latest(db: sqlite3.Connection, person: int, guild_id: int, period: Period) -> sqlite3.Row | None:
    """The latest free account of this kind of period."""
    return _one(
        db, person, guild_id, f"length(a.period) {'> 7' if period == 'day' else '= 7'}", "a.period DESC", "account_user"
    )


def _one(db: sqlite3.Connection, person: int, guild_id: int, which: str, order: str, index: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        f"SELECT a.*, w.entitled, w.carried FROM account a INDEXED BY {index} CROSS JOIN allowance w"
        f" ON w.account_id = a.id WHERE a.user_id = ? AND a.guild_id = ? AND a.kind = 'free' AND {which}"
        f" ORDER BY {order} LIMIT 1",  # by its index, or all that somebody ever had is sorted
        (person, guild_id),
    ).fetchone()
    return row


# ---------------------------------------------------------------- leaving and coming back
def leave(db: sqlite3.Connection, user_id: int, now_ms: int) -> None:
    """To be called when somebody is erased, while their row still has its Discord id: what they hold expires.

    What they used of a running period is remembered under a keyed hash until the period ends, so that who returns gets
    what was left and no more. Their jobs must have ended.
    """
    forget_expired(db, now_ms)
    person = users.find(db, user_id)
    for held in db.execute(
        "SELECT a.*, w.entitled, w.carried FROM account a LEFT JOIN allowance w ON w.account_id = a.id"
        " WHERE a.user_id = ?",
        (person,),
    ).fetchall():
        if held["kind"] == "free" and ends_ms(held["period"]) > now_ms:
            _remember_use(db, user_id, held)
        transfers.expire(db, held, now_ms)
    db.execute("DELETE FROM quota WHERE user_id = ?", (person,))
    db.execute("DELETE FROM subscription WHERE user_id = ?", (user_id,))


def forget_expired(db: sqlite3.Connection, now_ms: int) -> None:
    """Drop the hashes of periods that are over."""
    db.execute("DELETE FROM tombstone WHERE expires_at <= ?", (now_ms,))


def _remember_use(db: sqlite3.Connection, user_id: int, held: sqlite3.Row) -> None:
    used = max(held["carried"], held["entitled"]) - held["available"]
    mark = _hash(_key(db), user_id, held["guild_id"], held["period"])
    db.execute("INSERT OR REPLACE INTO tombstone VALUES (?, ?, ?)", (mark, used, ends_ms(held["period"])))


def _used_before(db: sqlite3.Connection, user_id: int, guild_id: int, label: str) -> int:
    """What an erased account of the same person used of this period."""
    key = key_values.recall(db, KEY)
    if key is None:
        return 0
    mark = _hash(bytes.fromhex(key), user_id, guild_id, label)
    row = db.execute("SELECT used FROM tombstone WHERE hash = ?", (mark,)).fetchone()
    return 0 if row is None else int(row["used"])


def _key(db: sqlite3.Connection) -> bytes:
    """The secret of this database, made when first needed."""
    if key_values.recall(db, KEY) is None:
        key_values.remember(db, KEY, secrets.token_hex(32))
    return bytes.fromhex(key_values.recall(db, KEY) or "")


def _hash(key: bytes, user_id: int, guild_id: int, label: str) -> bytes:
    return hmac.new(key, f"{user_id}:{guild_id}:{label}".encode(), hashlib.sha256).digest()
