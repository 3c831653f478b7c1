"""Rows for people and servers, made when first seen. Ids outside are Discord's; inside, people have surrogate ids."""

from __future__ import annotations

import sqlite3


def get_or_create(db: sqlite3.Connection, user_id: int, guild_id: int, now_ms: int) -> int:
    """The surrogate id of a Discord user, having made what was missing."""
    ensure_guild(db, guild_id, now_ms)
    person = find(db, user_id)
    if person is None:
        db.execute("INSERT INTO user (discord_id, created_at) VALUES (?, ?)", (user_id, now_ms))
        person = get(db, user_id)
    return person


def ensure_guild(db: sqlite3.Connection, guild_id: int, now_ms: int) -> None:
    db.execute("INSERT INTO guild (id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING", (guild_id, now_ms))


def get(db: sqlite3.Connection, user_id: int) -> int:
    """The surrogate id of somebody who is here already."""
    person = find(db, user_id)
    assert person is not None
    return person


def find(db: sqlite3.Connection, user_id: int) -> int | None:
    row = db.execute("SELECT id FROM user WHERE discord_id = ?", (user_id,)).fetchone()
    return None if row is None else int(row["id"])
