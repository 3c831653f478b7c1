"""What is kept of somebody who was forgotten: a keyed hash, and which free credits were granted. Knows no Discord.

Without it, deleting one's data every hour would be worth an allowance every hour. The hash is dropped once its period
is over for certain.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3

from bot.store import notes

KEY = "forgotten-key"  # note: what the hashes are keyed with


def leave(db: sqlite3.Connection, user_id: int, person: int, now_ms: int) -> None:
    """Note the newest free allowance of somebody who is being forgotten, in each server."""
    rows = db.execute(
        "SELECT guild_id, max(period) AS period FROM account WHERE user_id = ? AND kind = 'free' GROUP BY guild_id",
        (person,),
    ).fetchall()
    for row in rows:
        values = (_mark(db, user_id), row["guild_id"], row["period"], now_ms)
        db.execute("INSERT OR REPLACE INTO forgotten VALUES (?, ?, ?, ?)", values)


def recognise(db: sqlite3.Connection, user_id: int, person: int) -> None:
    """Give somebody who came back the accounts of the allowances they had already, empty."""
    rows = db.execute("DELETE FROM forgotten WHERE mark = ? RETURNING guild_id, period", (_mark(db, user_id),))
    for row in rows.fetchall():
        db.execute(
            "INSERT INTO account (kind, guild_id, user_id, period) VALUES ('free', ?, ?, ?)",
            (row["guild_id"], person, row["period"]),
        )


def drop(db: sqlite3.Connection, before_ms: int) -> None:
    """Forget that somebody was forgotten before `before_ms`."""
    db.execute("DELETE FROM forgotten WHERE at < ?", (before_ms,))


def _mark(db: sqlite3.Connection, user_id: int) -> bytes:
    key = notes.recall(db, KEY)
    if key is None:
        key = secrets.token_hex(32)
        notes.remember(db, KEY, key)
    return hmac.digest(bytes.fromhex(key), str(user_id).encode(), hashlib.sha256)
