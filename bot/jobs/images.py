"""Rows of pictures: a job's results and people's uploads. The files themselves are somebody else's."""

from __future__ import annotations

import json
import sqlite3

from bot.errors import NotFound
from bot.jobs.records import SELECT_JOB, InputImage, Job, NewImage, StoredImage
from bot.prompt.spec import Spec
from bot.store import users

UNUSED_INPUT = (
    "NOT EXISTS (SELECT 1 FROM job_input i WHERE i.sha256 = lower(hex(input_image.sha256)))"
    " AND NOT EXISTS (SELECT 1 FROM region r WHERE r.source = lower(hex(input_image.sha256)))"
)


def add(db: sqlite3.Connection, job_id: int, new: NewImage, now_ms: int) -> None:
    """The file must be on disk already."""
    db.execute(
        "INSERT INTO image (job_id, role, ordinal, seed, rel_path, mime, width, height, bytes, sha256, recipe,"
        " created_at, flagged) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job_id,
            new.role,
            new.ordinal,
            new.seed,
            new.file.path,
            new.mime,
            new.width,
            new.height,
            new.file.bytes,
            bytes.fromhex(new.file.sha256),
            json.dumps(dict(new.recipe), separators=(",", ":")),
            now_ms,
            int(new.flagged),
        ),
    )


def of_job(db: sqlite3.Connection, job_id: int) -> list[StoredImage]:
    rows = db.execute("SELECT * FROM image WHERE job_id = ? ORDER BY role DESC, ordinal", (job_id,))
    return [StoredImage.from_row(row) for row in rows]


def with_job(db: sqlite3.Connection, image_id: int) -> tuple[Job, StoredImage]:
    """Raises: NotFound."""
    image = db.execute("SELECT * FROM image WHERE id = ?", (image_id,)).fetchone()
    if image is None:
        raise NotFound("This picture was deleted. Ask for a new one with /imagine.")
    return Job.from_row(
        db.execute(f"{SELECT_JOB} WHERE j.id = ?", (image["job_id"],)).fetchone()
    ), StoredImage.from_row(image)


def forget(db: sqlite3.Connection, job_id: int) -> list[str]:
    """Remove a job's picture rows; their files' paths."""
    rows = db.execute("DELETE FROM image WHERE job_id = ? RETURNING rel_path", (job_id,)).fetchall()
    return [str(row["rel_path"]) for row in rows]


def store_input(db: sqlite3.Connection, new: InputImage, user_id: int, now_ms: int) -> str:
    """Remember an upload and, unless it is 0, whose it is; the same content is one row."""
    sha256 = bytes.fromhex(new.file.sha256)
    db.execute(
        "INSERT INTO input_image VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (sha256, new.file.path, new.width, new.height, new.file.bytes, now_ms),
    )
    if user_id:
        person = users.get_or_create(db, user_id, 0, now_ms)
        db.execute("INSERT INTO upload VALUES (?, ?) ON CONFLICT DO NOTHING", (sha256, person))
    return new.file.sha256


def input_image(db: sqlite3.Connection, sha256: str) -> InputImage:
    """Raises: NotFound."""
    row = db.execute("SELECT * FROM input_image WHERE sha256 = ?", (bytes.fromhex(sha256),)).fetchone()
    if row is None:
        raise NotFound("The picture to start from was deleted. Attach it again.")
    return InputImage.from_row(row)


def use_inputs(db: sqlite3.Connection, job_id: int, spec: Spec) -> None:
    """Note which stored pictures a job needs."""
    db.executemany("INSERT INTO job_input VALUES (?, ?)", [(job_id, sha256) for sha256 in spec.inputs])


def forget_inputs(db: sqlite3.Connection, job_id: int) -> list[str]:
    """A job needs its inputs no more; the paths of those that no other job needs."""
    rows = db.execute("DELETE FROM job_input WHERE job_id = ? RETURNING sha256", (job_id,)).fetchall()
    return [path for row in rows for path in _drop(db, "sha256 = ?", bytes.fromhex(row["sha256"]))]


def drop_unused_inputs(db: sqlite3.Connection, before_ms: int) -> list[str]:
    """Remove every upload from before `before_ms` that no job and no region refers to; their files' paths."""
    return _drop(db, "created_at < ?", before_ms)


def _drop(db: sqlite3.Connection, where: str, value: bytes | int) -> list[str]:
    rows = db.execute(f"DELETE FROM input_image WHERE {where} AND {UNUSED_INPUT} RETURNING rel_path", (value,))
    return [str(row["rel_path"]) for row in rows.fetchall()]


def known_paths(db: sqlite3.Connection) -> set[str]:
    return {str(row[0]) for row in db.execute("SELECT rel_path FROM image UNION SELECT rel_path FROM input_image")}
