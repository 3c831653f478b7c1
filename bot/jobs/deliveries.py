"""The outbox: what is owed to people, written with the change that causes it. Knows no Discord."""

from __future__ import annotations

import secrets
import sqlite3

from bot.jobs.records import UNDELIVERABLE, DeliveryKind, OutboxEntry
from bot.languages.speech import N_
from bot.ledger import transfers

OPEN = "delivered_at IS NULL AND dead = 0"
WAITS = N_("The pictures could not be posted. They wait in /history; nothing was charged yet.")
LOST = N_("The pictures were painted, but their files are gone from the disk. Ask for them again.")


def enqueue_delivery(db: sqlite3.Connection, job_id: int, kind: DeliveryKind, now_ms: int) -> None:
    nonce = secrets.token_hex(12)  # 24 of Discord's 25 characters
    row = (job_id, kind, nonce, now_ms)
    db.execute("INSERT INTO delivery (job_id, kind, nonce, created_at) VALUES (?, ?, ?, ?)", row)


def due(db: sqlite3.Connection, now_ms: int, limit: int) -> list[OutboxEntry]:
    rows = db.execute(
        f"SELECT * FROM delivery WHERE {OPEN} AND not_before <= ? ORDER BY not_before, id LIMIT ?", (now_ms, limit)
    )
    return [OutboxEntry.from_row(row) for row in rows]


def next_ms(db: sqlite3.Connection) -> int | None:
    row = db.execute(f"SELECT min(not_before) AS at FROM delivery WHERE {OPEN}").fetchone()
    return None if row["at"] is None else int(row["at"])


def delivered(
    db: sqlite3.Connection, delivery_id: int, message_id: int | None, lost: tuple[int, ...], now_ms: int
) -> None:
    """End the delivery and, if it was a result, its job. A delivery that ended already stays as it is.

    `lost`: ids of its pictures that nobody got: one pays for those that were delivered.
    """
    row = db.execute(
        f"UPDATE delivery SET delivered_at = ? WHERE id = ? AND {OPEN} RETURNING job_id", (now_ms, delivery_id)
    ).fetchone()
    if row is None:
        return
    db.execute(
        "UPDATE job SET reply_token = NULL, message_id = ifnull(?, message_id),"
        " state = iif(state = 'rendered', 'done', state) WHERE id = ?",
        (message_id, row["job_id"]),
    )
    if lost:
        _charge_less(db, row["job_id"], lost, now_ms)


def handed_over(db: sqlite3.Connection, job_id: int, now_ms: int) -> None:
    """End a job's delivery: its member has the result by another way than its message."""
    row = db.execute(f"SELECT id FROM delivery WHERE job_id = ? AND {OPEN}", (job_id,)).fetchone()
    delivered(db, row["id"], None, (), now_ms)


def _charge_less(db: sqlite3.Connection, job_id: int, lost: tuple[int, ...], now_ms: int) -> None:
    """Forget pictures that were painted and paid for but can't be delivered, and give back their share."""
    job = db.execute("SELECT charged FROM job WHERE id = ?", (job_id,)).fetchone()
    painted = len(db.execute("SELECT 1 FROM image WHERE job_id = ?", (job_id,)).fetchall())
    db.executemany("DELETE FROM image WHERE id = ? AND job_id = ?", [(image_id, job_id) for image_id in lost])
    back_mc = job["charged"] - job["charged"] * (painted - len(lost)) // painted
    db.execute("UPDATE job SET charged = charged - ? WHERE id = ?", (back_mc, job_id))
    transfers.refund(db, job_id, back_mc, now_ms)


def pictures_lost(db: sqlite3.Connection, delivery_id: int, now_ms: int) -> None:
    """Fail a result of which nothing is left; what is owed now is the sentence that says so."""
    row = db.execute(
        f"UPDATE delivery SET kind = 'error', attempts = 0, not_before = 0 WHERE id = ? AND kind = 'result' AND {OPEN}"
        " RETURNING job_id",
        (delivery_id,),
    ).fetchone()
    if row is not None:
        db.execute("DELETE FROM image WHERE job_id = ?", (row["job_id"],))
        _refund(db, row["job_id"], "lost", LOST, now_ms)


def begin_again(db: sqlite3.Connection, job_id: int) -> int:
    """Try a delivery that was given up once more, as if it were new; its id."""
    row = db.execute(
        "UPDATE delivery SET dead = 0, attempts = 0, not_before = 0 WHERE job_id = ? AND dead = 1 RETURNING id",
        (job_id,),
    ).fetchone()
    return int(row["id"])


def undelivered(db: sqlite3.Connection, guild_id: int | None, limit: int) -> list[int]:
    """Jobs of a server (None = of all) whose pictures could not be delivered, newest first."""
    rows = db.execute(
        "SELECT j.id FROM delivery d CROSS JOIN job j ON j.id = d.job_id WHERE d.dead = 1 AND d.kind = 'result'"
        " AND j.state = 'failed' AND j.error_code = ? AND j.deleted_at IS NULL AND (? IS NULL OR j.guild_id = ?)"
        " ORDER BY d.job_id DESC LIMIT ?",
        (UNDELIVERABLE, guild_id, guild_id, limit),
    )
    return [int(row["id"]) for row in rows]


def failed(db: sqlite3.Connection, delivery_id: int, retry_at_ms: int | None, now_ms: int) -> None:
    """Note a failed try: the next one at `retry_at_ms`, or none any more."""
    row = db.execute(
        f"UPDATE delivery SET attempts = attempts + 1, not_before = ifnull(?, not_before) WHERE id = ? AND {OPEN}"
        " RETURNING job_id",
        (retry_at_ms, delivery_id),
    ).fetchone()
    if row is not None and retry_at_ms is None:
        give_up(db, row["job_id"], now_ms)


def postponed(db: sqlite3.Connection, delivery_id: int, until_ms: int) -> None:
    """Try it later, and don't count it as a try."""
    db.execute(f"UPDATE delivery SET not_before = ? WHERE id = ? AND {OPEN}", (until_ms, delivery_id))


def give_up(db: sqlite3.Connection, job_id: int, now_ms: int) -> None:
    """Stop trying. People pay for delivered pictures only, so an undelivered result is refunded.

    Its pictures stay: they wait in the history.
    """
    db.execute(f"UPDATE delivery SET dead = 1 WHERE job_id = ? AND {OPEN}", (job_id,))
    db.execute("UPDATE job SET reply_token = NULL WHERE id = ?", (job_id,))
    _refund(db, job_id, UNDELIVERABLE, WAITS, now_ms)


def _refund(db: sqlite3.Connection, job_id: int, code: str, text: str, now_ms: int) -> None:
    """End a painted job unpaid; one that was delivered, or was never painted, stays as it is."""
    row = db.execute("SELECT charged FROM job WHERE id = ? AND state = 'rendered'", (job_id,)).fetchone()
    if row is not None:
        db.execute(
            "UPDATE job SET state = 'failed', charged = 0, error_code = ?, error_text = ? WHERE id = ?",
            (code, text, job_id),
        )
        transfers.refund(db, job_id, row["charged"], now_ms)
