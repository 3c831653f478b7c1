"""What the reconciler asks the database, and puts right there. Knows no files.

Every function runs inside the caller's transaction.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from bot.jobs import deliveries
from bot.ledger import transfers
from bot.store import key_values

DATABASE_ID = "database"  # note
MOST = 100  # of one step


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the database knows of a folder of pictures.

    Attributes:
        paths: of pictures. active: ids of jobs that may be writing there. ending: patterns of files to be removed.
    """

    paths: frozenset[str]
    active: frozenset[int]
    ending: tuple[str, ...]


def database_id(db: sqlite3.Connection) -> str:
    """What tells this database from any other, whatever file it is in."""
    known = key_values.recall(db, DATABASE_ID)
    assert known is not None, "a migration made it"
    return known


def known(db: sqlite3.Connection, part: str) -> Known:
    """What is known of one folder, such as "0012/"."""
    span = (part, part[:-1] + chr(ord("/") + 1))
    rows = [
        row["rel_path"]
        for table in ("image", "input_image")
        for row in db.execute(f"SELECT rel_path FROM {table} WHERE rel_path > ? AND rel_path < ?", span)
    ]
    active = db.execute("SELECT id FROM job WHERE state IN ('queued', 'running')")
    ending = db.execute("SELECT path FROM unlink WHERE path > ? AND path < ?", span)
    return Known(
        paths=frozenset(rows),
        active=frozenset(row["id"] for row in active),
        ending=tuple(row["path"] for row in ending),
    )


def any_pictures(db: sqlite3.Connection) -> bool:
    """Whether there is any that a file should be of."""
    return any(db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in ("image", "input_image"))


def release_strays(db: sqlite3.Connection, now_ms: int) -> int:
    """Give back what is set aside for jobs that have ended; for how many jobs. One transaction does both, so: none."""
    people = db.execute(
        """
        SELECT user_id FROM account a WHERE debits_pending > 0 AND user_id IS NOT NULL GROUP BY user_id
        HAVING sum(debits_pending) <>
          (SELECT ifnull(sum(quote), 0) FROM job WHERE user_id = a.user_id AND state IN ('queued', 'running'))
        LIMIT ?
        """,
        (MOST,),
    ).fetchall()
    ended = [job_id for row in people for job_id in _holding(db, row["user_id"])]
    for job_id in ended:
        transfers.resolve(db, job_id, 0, now_ms)
    return len(ended)


def _holding(db: sqlite3.Connection, person: int) -> list[int]:
    """Somebody's jobs that have ended and still hold credits."""
    rows = db.execute(
        """
        SELECT DISTINCT t.job_id FROM account a JOIN transfer t ON t.debit_id = a.id AND t.kind = 'reserve'
        JOIN job j ON j.id = t.job_id AND j.state NOT IN ('queued', 'running')
        WHERE a.user_id = ? AND a.debits_pending > 0 AND NOT EXISTS (SELECT 1 FROM transfer r WHERE r.pending_id = t.id)
        """,
        (person,),
    )
    return [int(row["job_id"]) for row in rows]


def owe_again(db: sqlite3.Connection, now_ms: int) -> int:
    """Owe the results that nothing owes; how many. One transaction paints and owes, so: none."""
    rows = db.execute(
        "SELECT id FROM job WHERE state = 'rendered'"
        " AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.job_id = job.id) LIMIT ?",
        (MOST,),
    ).fetchall()
    for row in rows:
        deliveries.enqueue_delivery(db, row["id"], "result", now_ms)
    return len(rows)


def clamp_waits(db: sqlite3.Connection, jobs_ms: int, deliveries_ms: int) -> int:
    """Let nothing wait beyond these times, as after a clock that was set back; how many waited."""
    queued = db.execute(
        "UPDATE job SET not_before = ? WHERE state = 'queued' AND not_before > ?", (jobs_ms, jobs_ms)
    ).rowcount
    owed = db.execute(
        f"UPDATE delivery SET not_before = ? WHERE {deliveries.OPEN} AND not_before > ?", (deliveries_ms, deliveries_ms)
    ).rowcount
    return queued + owed
