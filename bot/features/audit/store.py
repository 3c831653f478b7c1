"""Rows of the audit log: appended, searched, and blanked for a person who leaves. Knows no Discord.

Every function runs inside the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BY_MEMBERS = ("prompt.*", "image.*", "upload.*", "appeal.*", "member.*")
"""What members did themselves: erased with them, while what admins decided about them stays."""

EVERYWHERE = 0  # the server of what counts in all of them
MAX_TEXT = 500  # characters of one detail


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act. `actor_id` 0 is Easel itself (or somebody erased); `guild_id` 0 is everywhere; `at_ms` UTC epoch ms."""

    id: int
    at_ms: int
    guild_id: int
    actor_id: int
    action: str
    target: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """What to look for; None = anything. `text` is found anywhere in action, target or details, in any case."""

    guild_id: int | None = None
    actor_id: int | None = None
    action: str | None = None
    target: str | None = None
    text: str | None = None
    before_id: int | None = None


def add(
    db: sqlite3.Connection,
    guild_id: int,
    actor_id: int,
    action: str,
    target: str,
    details: Mapping[str, Any],
    now_ms: int,
) -> AuditEntry:
    """Append a row; long texts among its details are cut."""
    kept = {key: value[:MAX_TEXT] if isinstance(value, str) else value for key, value in details.items()}
    packed = json.dumps(kept, separators=(",", ":"), default=str, ensure_ascii=False)
    row = db.execute(
        "INSERT INTO audit (at, guild_id, actor_id, action, target, details) VALUES (?, ?, ?, ?, ?, ?) RETURNING *",
        (now_ms, guild_id, actor_id, action, _writable(target)[:200], _writable(packed)),
    ).fetchone()
    return _entry(row)


def search(db: sqlite3.Connection, query: AuditQuery, limit: int) -> list[AuditEntry]:
    """The newest entries that fit, newest first."""
    wanted = {
        "guild_id = ?": query.guild_id,
        "actor_id = ?": query.actor_id,
        "(action = ? OR substr(action, 1, length(?) + 1) = ? || '.')": query.action,
        "target = ?": query.target,
        "id < ?": query.before_id,
        "instr(lower(action || ' ' || target || ' ' || details), ?) > 0": _needle(query.text),
    }
    where, values = ["1"], list[Any]()
    for condition, value in wanted.items():
        if value is not None:
            where.append(condition)
            values += [value] * condition.count("?")
    sql = f"SELECT * FROM audit WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"
    return [_entry(row) for row in db.execute(sql, (*values, limit))]


def forget_person(db: sqlite3.Connection, user_id: int) -> None:
    """Erase what a member did and wrote; that an admin decided something about them stays, without its words."""
    target = f"user:{user_id}"
    db.execute("UPDATE audit SET details = '{}' WHERE actor_id = ? OR target = ?", (user_id, target))
    for pattern in BY_MEMBERS:
        db.execute(
            "UPDATE audit SET actor_id = 0, target = '' WHERE actor_id = ? AND action GLOB ?", (user_id, pattern)
        )


def forget_guild(db: sqlite3.Connection, guild_id: int) -> None:
    """Drop the log of a server that Easel left."""
    db.execute("DELETE FROM audit WHERE guild_id = ?", (guild_id,))


def _needle(text: str | None) -> str | None:
    """As it stands in the details' JSON, lower case as SQLite lowers: ASCII only."""
    if text is None:
        return None
    written = json.dumps(_writable(text), ensure_ascii=False)[1:-1]
    return "".join(char.lower() if char.isascii() else char for char in written)


def _writable(text: str) -> str:
    """SQLite takes no lone surrogates, and noting an act must not fail."""
    return text.encode(errors="replace").decode()


def _entry(row: sqlite3.Row) -> AuditEntry:
    return AuditEntry(
        id=row["id"],
        at_ms=row["at"],
        guild_id=row["guild_id"],
        actor_id=row["actor_id"],
        action=row["action"],
        target=row["target"],
        details=json.loads(row["details"]),
    )
