"""Small facts by key, and the views that must stay empty."""

from __future__ import annotations

import sqlite3


def remember(db: sqlite3.Connection, key: str, value: str) -> None:
    db.execute("INSERT INTO note VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value))


def recall(db: sqlite3.Connection, key: str) -> str | None:
    row = db.execute("SELECT value FROM note WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row["value"])


def take(db: sqlite3.Connection, key: str) -> str | None:
    """Recall and forget in one: of several who take a note, one gets it."""
    row = db.execute("DELETE FROM note WHERE key = ? RETURNING value", (key,)).fetchone()
    return None if row is None else str(row["value"])


def problems(db: sqlite3.Connection) -> list[str]:
    """One line for each row of each `bad_*` view."""
    views = db.execute("SELECT name FROM sqlite_schema WHERE type = 'view' AND name GLOB 'bad_*' ORDER BY name")
    return [
        f"{view['name']}: {dict(row)}"
        for view in views.fetchall()
        for row in db.execute(f"SELECT * FROM {view['name']} LIMIT 20")
    ]
