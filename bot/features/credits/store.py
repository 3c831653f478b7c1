"""What servers allow, by role and by member, as they set it; what it comes to is decided in `bot.ledger.limits`.

Limits of the first versions have columns; those that came later are in the column `more`, as JSON by their names.
Every function runs inside the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from bot.features.credits.records import QuotaChange, ServerQuotas, Subscription
from bot.ledger.limits import Budget, Quota
from bot.store import users

QUOTA_COLUMNS = {
    "allowance_mc": "allowance",
    "period": "period",
    "max_queued": "max_queued",
    "max_running": "max_running",
    "max_pixels": "max_pixels",
    "max_steps": "max_steps",
    "models": "models",
    "loras": "loras",
    "weight": "weight",
    "relax": "relax",
}
LISTS = ("models", "loras")  # columns that hold JSON
BUDGET_COLUMNS = {"server_mc_a_day": "cap", "gifts_mc_a_day": "gifts"}


def load(db: sqlite3.Connection, guild_id: int) -> ServerQuotas:
    """All that a server has set."""
    rows = db.execute(
        "SELECT q.*, u.discord_id FROM quota q LEFT JOIN user u ON u.id = q.user_id WHERE guild_id = ?", (guild_id,)
    ).fetchall()
    budget = db.execute("SELECT * FROM guild_budget WHERE guild_id = ?", (guild_id,)).fetchone()
    return ServerQuotas(
        roles={row["role_id"]: _quota_of(row) for row in rows if row["role_id"] is not None},
        people={row["discord_id"]: (_quota_of(row), row["until"]) for row in rows if row["discord_id"] is not None},
        budget=Budget.from_json(_stored(budget, BUDGET_COLUMNS)) if budget else Budget(),
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
        target = {"guild_id": guild_id, "role_id": role, "user_id": member, "until": change.until_ms}
        _insert(db, "quota", target | _columns(change.quota.to_json(), QUOTA_COLUMNS))


def set_budget(db: sqlite3.Connection, guild_id: int, budget: Budget, now_ms: int) -> None:
    """Replace what holds for a whole server."""
    users.ensure_guild(db, guild_id, now_ms)
    _insert(db, "guild_budget", {"guild_id": guild_id} | _columns(budget.to_json(), BUDGET_COLUMNS))


def _insert(db: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> None:
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT OR REPLACE INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))


def _columns(stored: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """Values of limits by column."""
    own = {column: stored.get(key) for key, column in columns.items()}
    lists = {column: json.dumps(own[column]) for column in LISTS if own.get(column) is not None}
    return own | lists | {"more": json.dumps({key: value for key, value in stored.items() if key not in columns})}


def _stored(row: sqlite3.Row, columns: Mapping[str, str]) -> dict[str, Any]:
    """The other way round; what isn't set is left out."""
    own = {key: row[column] for key, column in columns.items() if row[column] is not None}
    lists = {key: json.loads(own[key]) for key in LISTS if key in own}
    more: dict[str, Any] = json.loads(row["more"])
    return own | lists | more


def _quota_of(row: sqlite3.Row) -> Quota:
    return Quota.from_json(_stored(row, QUOTA_COLUMNS))


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
