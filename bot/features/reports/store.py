"""Rows of reports. Knows no Discord.

Every function runs inside the caller's transaction. A report lives as long as its job: when that is deleted, whoever
does it, the database itself marks the report, and opens it again when that is undone. The row goes once its reporter
was told. Times are UTC epoch ms.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

State = Literal["open", "dismissed", "deleted"]
OPEN = "SELECT * FROM report WHERE state = 'open'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One member's about one job; `deleted` is the state of a report whose job is gone."""

    id: int
    guild_id: int
    job_id: int
    reporter_id: int
    reason: str
    state: State
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A job that has open reports: how many, and since when."""

    job_id: int
    reports: int
    since_ms: int


def add(db: sqlite3.Connection, guild_id: int, job_id: int, reporter_id: int, reason: str, now_ms: int) -> bool:
    """False when this member reported this job already."""
    row = (guild_id, job_id, reporter_id, reason, now_ms)
    query = (
        "INSERT INTO report (guild_id, job_id, reporter_id, reason, created_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING"
    )
    return db.execute(query, row).rowcount > 0


def open_by(db: sqlite3.Connection, guild_id: int, reporter_id: int) -> int:
    """How many of somebody's reports nobody decided yet."""
    query = f"SELECT count(*) AS n FROM ({OPEN} AND guild_id = ? AND reporter_id = ?)"
    return int(db.execute(query, (guild_id, reporter_id)).fetchone()["n"])


def waiting(db: sqlite3.Connection, guild_id: int, viewer_id: int, limit: int) -> list[Waiting]:
    """A server's reported jobs, the oldest first; one's own are for others to decide."""
    rows = db.execute(
        f"SELECT r.job_id, count(*) AS n, min(r.created_at) AS since FROM ({OPEN} AND guild_id = ?) r"
        " JOIN job j ON j.id = r.job_id JOIN user u ON u.id = j.user_id"
        " WHERE u.discord_id IS NOT ? GROUP BY r.job_id ORDER BY since, r.job_id LIMIT ?",
        (guild_id, viewer_id, limit),
    )
    return [Waiting(job_id=row["job_id"], reports=row["n"], since_ms=row["since"]) for row in rows]


def of_job(db: sqlite3.Connection, job_id: int) -> list[Report]:
    """A job's open reports, oldest first."""
    return [_report(row) for row in db.execute(f"{OPEN} AND job_id = ? ORDER BY id", (job_id,))]


def dismiss(db: sqlite3.Connection, job_id: int) -> int:
    """Close a job's open reports; how many there were."""
    query = "UPDATE report SET state = 'dismissed' WHERE job_id = ? AND state = 'open'"
    return db.execute(query, (job_id,)).rowcount


def take_untold(db: sqlite3.Connection, limit: int) -> list[Report]:
    """Decided reports whose reporter wasn't told, marked as told from now on; of jobs that are gone nothing stays.

    A deletion that can still be undone decides nothing yet.
    """
    rows = db.execute(
        "SELECT * FROM report WHERE told = 0 AND state <> 'open' AND job_id NOT IN (SELECT job_id FROM deletion)"
        " ORDER BY id LIMIT ?",
        (limit,),
    ).fetchall()
    db.executemany("UPDATE report SET told = 1 WHERE id = ?", [(row["id"],) for row in rows])
    gone = "EXISTS (SELECT 1 FROM job j WHERE j.id = report.job_id AND j.deleted_at IS NOT NULL)"
    db.execute(f"DELETE FROM report WHERE told = 1 AND {gone} AND job_id NOT IN (SELECT job_id FROM deletion)")
    return [_report(row) for row in rows]


def _report(row: sqlite3.Row) -> Report:
    return Report(
        id=row["id"],
        guild_id=row["guild_id"],
        job_id=row["job_id"],
        reporter_id=row["reporter_id"],
        reason=row["reason"],
        state=row["state"],
        created_at=row["created_at"],
    )
