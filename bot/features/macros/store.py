"""Rows of macros. Every function runs inside the caller's transaction."""

from __future__ import annotations

import sqlite3


def macros(db: sqlite3.Connection, user_id: int) -> dict[str, str]:
    """A member's macros by name; `user_id` is Discord's."""
    rows = db.execute("SELECT name, value FROM macro WHERE user_id = ? ORDER BY name", (user_id,))
    return {row["name"]: row["value"] for row in rows}


def save(db: sqlite3.Connection, user_id: int, name: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO macro VALUES (?, ?, ?)", (user_id, name, value))


def remove(db: sqlite3.Connection, user_id: int, name: str) -> bool:
    """Forget a macro; False when there was none."""
    return db.execute("DELETE FROM macro WHERE user_id = ? AND name = ?", (user_id, name)).rowcount > 0
