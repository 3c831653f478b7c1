"""Rows for people and servers, made when first seen. Ids outside are Discord's; inside, people have surrogate ids."""

from __future__ import annotations

import sqlite3

from bot.store import tombstones


def ensure(db: sqlite3.Connection, user_id: int, guild_id: int, now_ms: int) -> int:
    """The surrogate id of a Discord user, having made what was missing."""
    db.execute("INSERT INTO guild VALUES (?, ?) ON CONFLICT DO NOTHING", (guild_id, now_ms))
    if (person := find(db, user_id)) is not None:
        return person
    made = db.execute("INSERT INTO user (discord_id, created_at) VALUES (?, ?) RETURNING id", (user_id, now_ms))
    person = int(made.fetchone()["id"])
    tombstones.recognise(db, user_id, person)
    return person


def find(db: sqlite3.Connection, user_id: int) -> int | None:
    row = db.execute("SELECT id FROM user WHERE discord_id = ?", (user_id,)).fetchone()
    return None if row is None else int(row["id"])
