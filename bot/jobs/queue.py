"""The order of waiting jobs: start-time fair queueing across people. Knows no credits.

A job gets a start tag when it is queued: the queue's virtual time, or the end of its person's own last active job if
that is later (Goyal, Vin, Cheng 1996). Jobs are claimed in the order of tags, and a claim moves the virtual time to the
claimed tag: who queues ten jobs at once waits for himself, not everybody for him.
"""

from __future__ import annotations

import sqlite3

from bot.jobs.records import SELECT_JOB, Job, Lane
from bot.prompt.spec import Spec

WORK_UNIT = 64 * 64  # pixel-steps of one unit of virtual time: small, so that weights are not lost in rounding
RELAX_LAG = 4  # a relax job stands behind four jobs of its size: slower, but never starved
# may be claimed: nobody has too many running, nothing is paused
CLAIMABLE = """
(SELECT count(*) FROM job r WHERE r.user_id = job.user_id AND r.state = 'running') < job.max_running
AND NOT EXISTS (SELECT 1 FROM pause p WHERE p.mode = 'pause' AND p.guild_id IN (0, job.guild_id))"""


def tag(db: sqlite3.Connection, person: int, spec: Spec, lane: Lane, weight: float = 1.0) -> tuple[int, int]:
    """A new job's (start tag, cost) in virtual time; twice the weight makes it half as long."""
    work = sum(cell.width * cell.height * cell.steps_run * cell.draws for cell in spec.cells)
    cost = max(1, round(work / WORK_UNIT / weight))
    now = int(db.execute("SELECT vtime FROM queue_clock").fetchone()["vtime"])
    own = db.execute(
        "SELECT ifnull(max(vtime + cost), 0) AS until FROM job"
        " WHERE user_id = ? AND state IN ('queued', 'running') AND lane = ?",  # no fast job waits for relaxed ones
        (person, lane),
    ).fetchone()
    lag = RELAX_LAG * cost if lane == "relax" else 0
    return max(now, int(own["until"])) + lag, cost


def claim(db: sqlite3.Connection, boot_id: str, limit: int, now_ms: int) -> list[Job]:
    """Hand the next ready jobs to the process `boot_id`; each claim is an attempt."""
    claimed: list[Job] = []
    while len(claimed) < limit and (row := _next(db, now_ms)) is not None:
        db.execute(
            "UPDATE job SET state = 'running', lease_owner = ?, attempts = attempts + 1, not_before = 0,"
            " started_at = ifnull(started_at, ?) WHERE id = ?",
            (boot_id, now_ms, row["id"]),
        )
        db.execute("UPDATE queue_clock SET vtime = max(vtime, ?)", (row["vtime"],))
        claimed.append(Job.from_row(db.execute(f"{SELECT_JOB} WHERE j.id = ?", (row["id"],)).fetchone()))
    return claimed


def _next(db: sqlite3.Connection, now_ms: int) -> sqlite3.Row | None:
    """The first ready job of somebody who may have another one running."""
    row: sqlite3.Row | None = db.execute(
        f"SELECT id, vtime FROM job WHERE state = 'queued' AND not_before <= ? AND {CLAIMABLE}"
        " ORDER BY vtime, id LIMIT 1",
        (now_ms,),
    ).fetchone()
    return row


def length(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) AS n FROM job WHERE state = 'queued'").fetchone()["n"])


def position(db: sqlite3.Connection, job_id: int) -> int | None:
    """How many waiting jobs stand before this one; None when it does not wait."""
    row = db.execute(
        """
        SELECT (SELECT count(*) FROM job o WHERE o.state = 'queued' AND (o.vtime, o.id) < (j.vtime, j.id)) AS before
        FROM job j WHERE j.id = ? AND j.state = 'queued'
        """,
        (job_id,),
    ).fetchone()
    return None if row is None else int(row["before"])


def next_ready_ms(db: sqlite3.Connection) -> int | None:
    """When a job may be claimed; one that waits for its person's others to end is not counted."""
    row = db.execute(f"SELECT min(not_before) AS at FROM job WHERE state = 'queued' AND {CLAIMABLE}").fetchone()
    return None if row["at"] is None else int(row["at"])


def pending(db: sqlite3.Connection) -> int:
    """Jobs that have not ended plus deliveries that are owed."""
    return int(
        db.execute(
            """
            SELECT (SELECT count(*) FROM job WHERE state IN ('queued', 'running'))
                 + (SELECT count(*) FROM delivery WHERE delivered_at IS NULL AND dead = 0) AS n
            """
        ).fetchone()["n"]
    )
