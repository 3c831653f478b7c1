"""Finding jobs of a member, and a picture's family. Every function runs inside the caller's transaction."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass

from bot.jobs.lifecycle import NEWEST
from bot.jobs.records import SELECT_JOB, Job
from bot.store import users

MOST_KIN = 60  # jobs of a family that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which of their jobs a member looks for; empty = any.

    Attributes:
        words: each of them is in the prompt. model: its key. kind: as a job has it.
    """

    words: tuple[str, ...] = ()
    model: str = ""
    kind: str = ""
    starred: bool = False


def search(
    db: sqlite3.Connection, user_id: int, guild_id: int, wanted: Wanted, before_id: int | None, limit: int
) -> list[Job]:
    """A member's jobs in a server, newest first, those before `before_id`."""
    # SQLite's own folding knows ASCII alone
    db.create_function("folded", 1, lambda text: str(text or "").casefold(), deterministic=True)
    where = ["u.discord_id = :user AND j.guild_id = :guild AND j.deleted_at IS NULL"]
    where += ["j.id < :before"]
    values: dict[str, object] = {"user": user_id, "guild": guild_id, "before": before_id or NEWEST, "limit": limit}
    for number, word in enumerate(wanted.words):
        where.append(f"instr(folded(json_extract(j.spec, '$.prompt')), :word{number})")
        values[f"word{number}"] = word.casefold()
    if wanted.model:
        where.append("json_extract(j.spec, '$.model') = :model")
    if wanted.kind:
        where.append("j.kind = :kind")
    if wanted.starred:
        where.append("EXISTS (SELECT 1 FROM star s WHERE s.job_id = j.id AND s.user_id = :user)")
    values |= {"model": wanted.model, "kind": wanted.kind}
    rows = db.execute(f"{SELECT_JOB} WHERE {' AND '.join(where)} ORDER BY j.id DESC LIMIT :limit", values)
    return [Job.from_row(row) for row in rows]


def secret(db: sqlite3.Connection, key: str) -> str:
    """A random text that is kept from then on."""
    fresh = secrets.token_hex(32)
    db.execute("INSERT INTO note VALUES (?, ?) ON CONFLICT DO NOTHING", (key, fresh))
    return str(db.execute("SELECT value FROM note WHERE key = ?", (key,)).fetchone()["value"])


def is_open(db: sqlite3.Connection, guild_id: int) -> bool:
    """Whether everyone may see a server's gallery."""
    return db.execute("SELECT 1 FROM open_gallery WHERE guild_id = ?", (guild_id,)).fetchone() is not None


def set_open(db: sqlite3.Connection, guild_id: int, now_ms: int, *, is_open: bool) -> None:
    """Open a server's gallery to everyone, or close it."""
    users.ensure_guild(db, guild_id, now_ms)
    if is_open:
        db.execute("INSERT INTO open_gallery VALUES (?) ON CONFLICT DO NOTHING", (guild_id,))
    else:
        db.execute("DELETE FROM open_gallery WHERE guild_id = ?", (guild_id,))


def hanging(db: sqlite3.Connection, guild_id: int, before_id: int | None, limit: int, job_id: int | None) -> list[Job]:
    """What everyone may see of an open gallery, newest first; only one job of it with `job_id`."""
    rows = db.execute(
        f"{SELECT_JOB} JOIN gallery g ON g.job_id = j.id AND g.message_id IS NOT NULL"
        " JOIN open_gallery o ON o.guild_id = j.guild_id"
        " WHERE j.deleted_at IS NULL AND j.private = 0 AND j.aged = 0 AND j.state = 'done' AND (? IS NULL OR j.id = ?)"
        " AND (? = 0 OR j.guild_id = ?) AND (? IS NULL OR j.id < ?) ORDER BY j.id DESC LIMIT ?",
        (job_id, job_id, guild_id, guild_id, before_id, before_id, limit),
    )
    return [Job.from_row(row) for row in rows]


def family(db: sqlite3.Connection, job_id: int) -> list[Job]:
    """A job, what it was made from, and what was made from either, oldest first; deleted ones are missing."""
    rows = db.execute(
        f"""
        WITH RECURSIVE
          up(id) AS (SELECT ? UNION
            SELECT p.job_id FROM up JOIN job j ON j.id = up.id JOIN image p ON p.id = j.parent_image_id),
          kin(id) AS (SELECT id FROM up UNION
            SELECT c.id FROM kin JOIN image i ON i.job_id = kin.id JOIN job c ON c.parent_image_id = i.id
            LIMIT {MOST_KIN})
        {SELECT_JOB} WHERE j.id IN (SELECT id FROM kin) AND j.deleted_at IS NULL ORDER BY j.id
        """,
        (job_id,),
    )
    return [Job.from_row(row) for row in rows]
