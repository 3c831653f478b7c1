"""What servers allow, by role and by person, as they set it; what it comes to is decided in `bot.ledger.terms`.

Every function runs inside the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import fields

from bot.ledger.records import Quota, QuotaChange, ServerQuotas, Subscription
from bot.store import users

COLUMNS = tuple({"allowance_mc": "allowance"}.get(field.name, field.name) for field in fields(Quota))


def load(db: sqlite3.Connection, guild_id: int) -> ServerQuotas:
    """All of a server's quotas."""
    rows = db.execute(
        "SELECT q.*, u.discord_id FROM quota q LEFT JOIN user u ON u.id = q.user_id WHERE guild_id = ?", (guild_id,)
    ).fetchall()
    budget = db.execute("SELECT cap, gifts FROM guild_budget WHERE guild_id = ?", (guild_id,)).fetchone()
    return ServerQuotas(
        roles={row["role_id"]: _quota_of(row) for row in rows if row["role_id"] is not None},
        people={row["discord_id"]: (_quota_of(row), row["until"]) for row in rows if row["discord_id"] is not None},
        cap_mc=budget["cap"] if budget else None,
        gifts_mc=budget["gifts"] if budget else None,
    )


def set_quota(db: sqlite3.Connection, guild_id: int, change: QuotaChange, now_ms: int) -> None:
    """Replace what a role or a member is allowed; a quota of None forgets it."""
    users.ensure_guild(db, guild_id, now_ms)
    role, member = change.role_id or None, None
    if role is None:
        member = users.get_or_create(db, change.user_id, guild_id, now_ms)
    key = (guild_id, role or 0, member or 0)
    db.execute("DELETE FROM quota WHERE guild_id = ? AND ifnull(role_id, 0) = ? AND ifnull(user_id, 0) = ?", key)
    if change.quota is not None:
        _insert(db, (guild_id, role, member, change.until_ms), change.quota)


def set_budget(db: sqlite3.Connection, guild_id: int, cap_mc: int | None, gifts_mc: int | None, now_ms: int) -> None:
    """Set what a whole server may spend, and what a member may give away, a day; None = no cap, no gifts."""
    users.ensure_guild(db, guild_id, now_ms)
    db.execute("INSERT OR REPLACE INTO guild_budget VALUES (?, ?, ?)", (guild_id, cap_mc, gifts_mc))


def _insert(db: sqlite3.Connection, target: tuple[int, int | None, int | None, int | None], quota: Quota) -> None:
    """`target`: server, role, surrogate id of the member, end."""
    values = [getattr(quota, field.name) for field in fields(Quota)]
    values = [json.dumps(sorted(each)) if isinstance(each, frozenset) else each for each in values]
    names, marks = ", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))
    db.execute(
        f"INSERT INTO quota (guild_id, role_id, user_id, until, {names}) VALUES (?, ?, ?, ?, {marks})",
        (*target, *values),
    )


def _quota_of(row: sqlite3.Row) -> Quota:
    return Quota(
        allowance_mc=row["allowance"],
        period=row["period"],
        max_queued=row["max_queued"],
        max_running=row["max_running"],
        max_pixels=row["max_pixels"],
        max_steps=row["max_steps"],
        models=_names(row["models"]),
        loras=_names(row["loras"]),
        weight=row["weight"],
        relax=None if row["relax"] is None else bool(row["relax"]),
    )


def _names(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(json.loads(text))


# ---------------------------------------------------------------- bought with Discord
def subscriptions(db: sqlite3.Connection) -> list[Subscription]:
    rows = db.execute("SELECT * FROM subscription")
    return [
        Subscription(
            id=row["id"],
            sku_id=row["sku_id"],
            user_id=row["user_id"],
            guild_id=row["guild_id"],
            ends_at_ms=row["ends_at"],
        )
        for row in rows
    ]


def subscribe(db: sqlite3.Connection, new: Subscription) -> None:
    """Note a subscription, or its new end."""
    row = (new.id, new.sku_id, new.user_id, new.guild_id, new.ends_at_ms)
    db.execute("INSERT OR REPLACE INTO subscription VALUES (?, ?, ?, ?, ?)", row)


def unsubscribe(db: sqlite3.Connection, entitlement_id: int) -> None:
    db.execute("DELETE FROM subscription WHERE id = ?", (entitlement_id,))


def replace_subscriptions(db: sqlite3.Connection, running: tuple[Subscription, ...]) -> None:
    """These run, and no others."""
    db.execute("DELETE FROM subscription")
    for each in running:
        subscribe(db, each)
