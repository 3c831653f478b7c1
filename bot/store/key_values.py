"""Small facts by key."""

from __future__ import annotations

import sqlite3

QUESTIONS = ("batch", "announce", "menu", "form", "line", "edit", "history")
ASKED = "(" + " OR ".join(f"key GLOB '{kind}:*'" for kind in QUESTIONS) + ")"
"""Questions that wait for an answer: `<what>:<interaction id>`, whose value begins with whose they are."""
OFFER = "offer:"
OFFERED = f"key GLOB '{OFFER}*'"
"""What messages offer to paint, in the same form."""
DISCORD_EPOCH_MS = 1_420_070_400_000  # a snowflake's upper bits count from here


def remember(db: sqlite3.Connection, key: str, value: str) -> None:
    db.execute("INSERT INTO note VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value))


def recall(db: sqlite3.Connection, key: str) -> str | None:
    row = db.execute("SELECT value FROM note WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row["value"])


def take(db: sqlite3.Connection, key: str) -> str | None:
    """Recall and forget in one: of several who take a note, one gets it."""
    row = db.execute("DELETE FROM note WHERE key = ? RETURNING value", (key,)).fetchone()
    return None if row is None else str(row["value"])


def drop_questions(db: sqlite3.Connection, before_ms: int) -> int:
    """Forget what was asked before `before_ms` and never answered; how many."""
    return _drop(db, ASKED, before_ms)


def drop_offers(db: sqlite3.Connection, before_ms: int) -> int:
    """Forget what was offered before `before_ms`; how many."""
    return _drop(db, OFFERED, before_ms)


def _drop(db: sqlite3.Connection, which: str, before_ms: int) -> int:
    """An interaction's id tells its time."""
    asked_ms = "(CAST(substr(key, instr(key, ':') + 1) AS INTEGER) >> 22) + ?"
    return db.execute(f"DELETE FROM note WHERE {which} AND {asked_ms} < ?", (DISCORD_EPOCH_MS, before_ms)).rowcount
