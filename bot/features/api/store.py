"""Rows of API keys. Every function runs inside the caller's transaction."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass

from bot.store import users


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHolder:
    """Whose key it is, and where it counts; ids are Discord's. `channel_id`: whose rules hold, 0 = no channel."""

    user_id: int
    guild_id: int
    channel_id: int = 0


def add(db: sqlite3.Connection, key: str, holder: KeyHolder, now_ms: int) -> None:
    """Keep a key's hash."""
    users.ensure_guild(db, holder.guild_id, now_ms)
    values = (_sha256(key), holder.user_id, holder.guild_id, holder.channel_id, now_ms)
    db.execute("INSERT INTO api_key VALUES (?, ?, ?, ?, ?)", values)


def holder_of(db: sqlite3.Connection, key: str) -> KeyHolder | None:
    """Whose key that is; None for none, or no more."""
    row = db.execute("SELECT * FROM api_key WHERE sha256 = ?", (_sha256(key),)).fetchone()
    if row is None:
        return None
    return KeyHolder(user_id=row["user_id"], guild_id=row["guild_id"], channel_id=row["channel_id"])


def revoke(db: sqlite3.Connection, user_id: int, guild_id: int) -> int:
    """End a member's keys in a server; how many."""
    return db.execute("DELETE FROM api_key WHERE user_id = ? AND guild_id = ?", (user_id, guild_id)).rowcount


def _sha256(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
