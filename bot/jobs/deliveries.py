"""The outbox: what is owed to people, written with the change that causes it. Knows no Discord."""

from __future__ import annotations

import secrets
import sqlite3

from bot.jobs.records import DeliveryKind, OutboxEntry
from bot.ledger import transfers

OPEN = "delivered_at IS NULL AND dead = 0"


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


def delivered(db: sqlite3.Connection, delivery_id: int, message_id: int | None, now_ms: int) -> None:
    """End the delivery and, if it was a result, its job. A delivery that ended already stays as it is."""
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


def failed(db: sqlite3.Connection, delivery_id: int, retry_at_ms: int | None, now_ms: int) -> None:
    """Note a failed try: the next one at `retry_at_ms`, or none any more."""
    row = db.execute(
        f"UPDATE delivery SET attempts = attempts + 1, not_before = ifnull(?, not_before) WHERE id = ? AND {OPEN}"
        " RETURNING job_id",
        (retry_at_ms, delivery_id),
    ).fetchone()
    if row is not None and retry_at_ms is None:
        give_up(db, row["job_id"], now_ms)


def give_up(db: sqlite3.Connection, job_id: int, now_ms: int) -> None:
    """Stop trying. People pay for delivered pictures only, so an undelivered result is refunded.

    Its pictures stay: they wait in the history.
    """
    db.execute(f"UPDATE delivery SET dead = 1 WHERE job_id = ? AND {OPEN}", (job_id,))
    db.execute("UPDATE job SET reply_token = NULL WHERE id = ?", (job_id,))
    row = db.execute(
        "UPDATE job SET state = 'failed', charged = 0, error_code = 'undeliverable',"
        " error_text = 'The pictures could not be posted. They wait in /history; nothing was charged.'"
        " WHERE id = ? AND state = 'rendered' RETURNING id",
        (job_id,),
    ).fetchone()
    if row is not None:
        transfers.refund(db, job_id, now_ms)
