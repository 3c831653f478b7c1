"""Rows of jobs whose deletion can still be undone. Every function runs inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from bot.errors import NotFound
from bot.jobs import lifecycle
from bot.jobs.records import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A job that is deleted for good, and its messages in a channel that are to go too (ids are Discord's)."""

    channel_id: int
    message_ids: frozenset[int]


def hide(db: sqlite3.Connection, job_id: int, message_id: int | None, due_ms: int, now_ms: int) -> bool:
    """Hide a delivered job until `due_ms`; False where it isn't delivered (yet), and so can't be had back whole."""
    done = "UPDATE job SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL AND state = 'done'"
    if not db.execute(done, (now_ms, job_id)).rowcount:
        return False
    db.execute("INSERT INTO deletion VALUES (?, ?, ?)", (job_id, due_ms, message_id))
    return True


def is_there(db: sqlite3.Connection, job_id: int) -> bool:
    """Whether a job isn't deleted, nor hidden."""
    return db.execute("SELECT 1 FROM job WHERE id = ? AND deleted_at IS NULL", (job_id,)).fetchone() is not None


def restore(db: sqlite3.Connection, job_id: int, user_id: int) -> Job:
    """Show a hidden job of a person again. Raises: NotFound."""
    mine = "SELECT 1 FROM job j JOIN user u ON u.id = j.user_id WHERE j.id = deletion.job_id AND u.discord_id = ?"
    gone = f"DELETE FROM deletion WHERE job_id = ? AND EXISTS ({mine})"
    if not db.execute(gone, (job_id, user_id)).rowcount:
        raise NotFound("That can't be undone any more: it's over a minute ago, or somebody else deleted it.")
    db.execute("UPDATE job SET deleted_at = NULL WHERE id = ?", (job_id,))
    return lifecycle.get(db, job_id)


def finish(db: sqlite3.Connection, now_ms: int) -> list[Gone]:
    """Delete for good what is due."""
    rows = db.execute(
        "SELECT d.job_id, j.channel_id, j.private, j.message_id AS own, d.message_id FROM deletion d"
        " JOIN job j ON j.id = d.job_id WHERE d.due_at <= ?",
        (now_ms,),
    ).fetchall()
    for row in rows:
        lifecycle.delete(db, row["job_id"], now_ms)
    return [
        Gone(channel_id=row["channel_id"], message_ids=frozenset(filter(None, (row["own"], row["message_id"]))))
        for row in rows
        if not row["private"]
    ]
