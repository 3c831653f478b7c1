"""The order of waiting jobs: start-time fair queueing, first across servers, then across a server's members.

A job gets a start tag when it is queued: its server's virtual time, or the end of its person's own last active job
there if that is later (Goyal, Vin, Cheng 1996). A server's jobs are claimed in the order of their tags: who queues ten
jobs at once waits for himself, not everybody for him. Servers are queued in the same way, by the work they were given:
whatever weights a server gives its members, and however many they are, it gets what each other server gets. Knows no
credits.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from bot.jobs.records import SELECT_JOB, Job, Lane
from bot.prompt.spec import Spec

WORK_UNIT = 64 * 64  # pixel-steps of one unit of virtual time: small, so that weights are not lost in rounding
RELAX_LAG = 4  # a relax job stands behind four jobs of its size: slower, but never starved
WORK = "max(1, CAST(round(job.cost * job.weight) AS INTEGER))"  # of a job, whatever its weight
# the start tag of a server's next job
SERVERS_START = """
max((SELECT vtime FROM queue_clock), ifnull((SELECT served FROM queue_server s WHERE s.guild_id = job.server_id), 0))"""
# may be claimed: nobody has too many running, nothing is paused. An index has the jobs of each member that are
# queued or running; without the first condition SQLite doesn't see that it will do, and counts among all that ended
CLAIMABLE = """
(SELECT count(*) FROM job r
  WHERE r.state IN ('queued', 'running') AND r.user_id = job.user_id AND r.state = 'running') < job.max_running
AND NOT EXISTS (SELECT 1 FROM pause p WHERE p.mode = 'pause' AND p.guild_id IN (0, job.server_id))"""


def tag(
    db: sqlite3.Connection, person: int, server_id: int, spec: Spec, lane: Lane, weight: float = 1.0
) -> tuple[int, int]:
    """A new job's (start tag, cost) in its server's virtual time; twice the weight makes it half as long."""
    work = sum(cell.width * cell.height * cell.calls_run * cell.draws for cell in spec.cells)
    cost = max(1, round(work / WORK_UNIT / weight))
    db.execute("INSERT INTO queue_server VALUES (?, 0, 0) ON CONFLICT DO NOTHING", (server_id,))
    now = int(db.execute("SELECT vtime FROM queue_server WHERE guild_id = ?", (server_id,)).fetchone()["vtime"])
    own = db.execute(
        "SELECT ifnull(max(vtime + cost), 0) AS until FROM job WHERE user_id = ? AND server_id = ?"
        " AND state IN ('queued', 'running') AND lane = ?",  # no fast job waits for relaxed ones
        (person, server_id, lane),
    ).fetchone()
    lag = RELAX_LAG * cost if lane == "relax" else 0
    return max(now, int(own["until"])) + lag, cost


def claim(db: sqlite3.Connection, boot_id: str, limit: int, now_ms: int) -> list[Job]:
    """Hand the next ready jobs to the process `boot_id`; each claim is an attempt.

    The jobs' weights are such that each server with work has the same share of the device.
    """
    claimed: list[Job] = []
    while len(claimed) < limit and (row := _next(db, now_ms)) is not None:
        db.execute(
            "UPDATE job SET state = 'running', lease_owner = ?, attempts = attempts + 1, not_before = 0,"
            " started_at = ifnull(started_at, ?) WHERE id = ?",
            (boot_id, now_ms, row["id"]),
        )
        db.execute("UPDATE queue_clock SET vtime = ?", (row["start"],))
        db.execute(
            "UPDATE queue_server SET served = ?, vtime = max(vtime, ?) WHERE guild_id = ?",
            (row["start"] + row["work"], row["vtime"], row["server_id"]),
        )
        claimed.append(Job.from_row(db.execute(f"{SELECT_JOB} WHERE j.id = ?", (row["id"],)).fetchone()))
    shares = _server_shares(db) if claimed else {}
    return [replace(job, weight=job.weight * shares[job.id]) for job in claimed]


def _next(db: sqlite3.Connection, now_ms: int) -> sqlite3.Row | None:
    """The first ready job of somebody who may have another one running, of the server that got least."""
    row: sqlite3.Row | None = db.execute(
        f"SELECT id, vtime, server_id, {WORK} AS work, {SERVERS_START} AS start FROM job"
        f" WHERE state = 'queued' AND not_before <= ? AND {CLAIMABLE} ORDER BY start, vtime, id LIMIT 1",
        (now_ms,),
    ).fetchone()
    return row


def _server_shares(db: sqlite3.Connection) -> dict[int, float]:
    """By running job, what its member's weight is to be multiplied by, for its server to get what each other gets.

    It's 1 where there is one server, or all have as much weight at work: so that it hardly changes while members come
    and go, for those whose jobs are long are held to what it was when they were claimed.
    """
    rows = db.execute(
        """
        WITH running AS (SELECT id, server_id, user_id, weight FROM job INDEXED BY job_running WHERE state = 'running'),
          members AS (SELECT server_id, max(weight) AS weight FROM running GROUP BY server_id, user_id),
          servers AS (SELECT server_id, sum(weight) AS weight FROM members GROUP BY server_id)
        SELECT id, (SELECT avg(weight) FROM servers) / own.weight AS share
        FROM running JOIN servers own USING (server_id)
        """
    )
    return {int(row["id"]): float(row["share"]) for row in rows}


def length(db: sqlite3.Connection, server_id: int | None = None) -> int:
    """How many jobs wait, of one server or (None) of all."""
    query = "SELECT count(*) AS n FROM job WHERE state = 'queued'"  # an index has all that this needs
    if server_id is None:
        return int(db.execute(query).fetchone()["n"])
    return int(db.execute(f"{query} AND server_id = ?", (server_id,)).fetchone()["n"])


def position(db: sqlite3.Connection, job_id: int) -> int | None:
    """How many waiting jobs stand before this one; None when it does not wait."""
    row = db.execute(
        f"""
        WITH waiting AS (
          SELECT id, vtime, {SERVERS_START} + ifnull(sum({WORK}) OVER before, 0) AS start FROM job
          WHERE state = 'queued' WINDOW before AS (
            PARTITION BY server_id ORDER BY vtime, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
        SELECT (SELECT count(*) FROM waiting o WHERE (o.start, o.vtime, o.id) < (w.start, w.vtime, w.id)) AS before
        FROM waiting w WHERE w.id = ?
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
