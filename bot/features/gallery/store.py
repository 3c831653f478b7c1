"""Rows of stars and of what was posted in galleries. Every function runs inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryPost:
    """A job's picture in a gallery; `message_id` is None while it is being posted."""

    job_id: int
    channel_id: int
    message_id: int | None


def toggle(db: sqlite3.Connection, job_id: int, user_id: int) -> bool:
    """Give a star, or take it back; whether it is there now."""
    if db.execute("DELETE FROM star WHERE job_id = ? AND user_id = ?", (job_id, user_id)).rowcount:
        return False
    db.execute("INSERT INTO star VALUES (?, ?)", (job_id, user_id))
    return True


def stars(db: sqlite3.Connection, job_id: int) -> int:
    return int(db.execute("SELECT count(*) AS n FROM star WHERE job_id = ?", (job_id,)).fetchone()["n"])


def claim(db: sqlite3.Connection, job_id: int, channel_id: int) -> bool:
    """The right to post a job's picture, which one caller gets once."""
    new = db.execute("INSERT INTO gallery VALUES (?, ?, NULL) ON CONFLICT DO NOTHING", (job_id, channel_id))
    return new.rowcount > 0


def posted(db: sqlite3.Connection, job_id: int, message_id: int) -> None:
    db.execute("UPDATE gallery SET message_id = ? WHERE job_id = ?", (message_id, job_id))


def drop(db: sqlite3.Connection, job_id: int) -> None:
    """Forget a post: it failed, or its message is gone."""
    db.execute("DELETE FROM gallery WHERE job_id = ?", (job_id,))


def stale(db: sqlite3.Connection) -> list[GalleryPost]:
    """Posts of jobs that were deleted."""
    return _posts(db, "j.deleted_at IS NOT NULL AND j.id NOT IN (SELECT job_id FROM deletion)", ())


def of_person(db: sqlite3.Connection, user_id: int) -> list[GalleryPost]:
    """Posts of somebody's pictures."""
    return _posts(db, "u.discord_id = ?", (user_id,))


def _posts(db: sqlite3.Connection, where: str, values: tuple[int, ...]) -> list[GalleryPost]:
    rows = db.execute(
        f"SELECT g.* FROM gallery g CROSS JOIN job j ON j.id = g.job_id JOIN user u ON u.id = j.user_id WHERE {where}",
        values,
    )
    return [
        GalleryPost(job_id=row["job_id"], channel_id=row["channel_id"], message_id=row["message_id"]) for row in rows
    ]
