"""Rows of pictures: a job's results and people's uploads. The files themselves are somebody else's."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from bot.errors import NotFound
from bot.jobs import files
from bot.jobs.records import SELECT_JOB, InputImage, Job, NewImage, StoredImage
from bot.prompt.spec import Spec
from bot.store import users

UNUSED_INPUT = (
    "NOT EXISTS (SELECT 1 FROM job_input i WHERE i.sha256 = lower(hex(input_image.sha256)))"
    " AND NOT EXISTS (SELECT 1 FROM region r WHERE r.source = lower(hex(input_image.sha256)))"
    " AND NOT EXISTS (SELECT 1 FROM look_picture l WHERE l.sha256 = input_image.sha256)"
)
# an upload that somebody else gave too may be about to be asked for: it goes when nobody did so for an hour
NOBODY_ELSES = (
    "NOT EXISTS (SELECT 1 FROM upload u JOIN job j ON j.id = ?"
    " WHERE u.sha256 = input_image.sha256 AND u.user_id <> j.user_id)"
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
    known = "SELECT i.* FROM image i JOIN job j ON j.id = i.job_id WHERE i.id = ? AND j.deleted_at IS NULL"
    image = db.execute(known, (image_id,)).fetchone()
    if image is None:
        raise NotFound("This picture was deleted. Ask for a new one with /imagine.")
    return Job.from_row(
        db.execute(f"{SELECT_JOB} WHERE j.id = ?", (image["job_id"],)).fetchone()
    ), StoredImage.from_row(image)


def forget(db: sqlite3.Connection, job_id: int) -> int:
    """Remove a job's picture rows and let their files be removed; how many."""
    rows = db.execute("DELETE FROM image WHERE job_id = ? RETURNING rel_path", (job_id,)).fetchall()
    return end_files(db, [row["rel_path"] for row in rows])


def store_input(db: sqlite3.Connection, new: InputImage, user_id: int, now_ms: int, lost: str = "") -> str:
    """Remember an upload and, unless it is 0, whose it is.

    The same content is one row and keeps its first file, unless that is `lost`.
    """
    sha256 = bytes.fromhex(new.file.sha256)
    kept = db.execute(
        "INSERT INTO input_image VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE"
        " SET created_at = excluded.created_at, rel_path = iif(rel_path = ?, excluded.rel_path, rel_path)"
        " RETURNING rel_path",
        (sha256, new.file.path, new.width, new.height, new.file.bytes, now_ms, lost),
    ).fetchone()
    if kept["rel_path"] != new.file.path:
        end_files(db, [new.file.path])
    _note_upload(db, sha256, user_id, now_ms)
    return new.file.sha256


def again(db: sqlite3.Connection, sha256: str, user_id: int, now_ms: int) -> str:
    """Note that an upload is here again; its file's path, or "" when it is not known (any more)."""
    row = db.execute(
        "UPDATE input_image SET created_at = ? WHERE sha256 = ? RETURNING rel_path", (now_ms, bytes.fromhex(sha256))
    ).fetchone()
    if row is None:
        return ""
    _note_upload(db, bytes.fromhex(sha256), user_id, now_ms)
    return str(row["rel_path"])


def _note_upload(db: sqlite3.Connection, sha256: bytes, user_id: int, now_ms: int) -> None:
    if user_id:
        person = users.get_or_create(db, user_id, 0, now_ms)
        db.execute("INSERT INTO upload VALUES (?, ?) ON CONFLICT DO NOTHING", (sha256, person))


def input_image(db: sqlite3.Connection, sha256: str) -> InputImage:
    """Raises: NotFound."""
    row = db.execute("SELECT * FROM input_image WHERE sha256 = ?", (bytes.fromhex(sha256),)).fetchone()
    if row is None:
        raise NotFound("The picture to start from was deleted. Attach it again.")
    return InputImage.from_row(row)


def use_inputs(db: sqlite3.Connection, job_id: int, spec: Spec) -> None:
    """Note which stored pictures a job needs."""
    db.executemany("INSERT INTO job_input VALUES (?, ?)", [(job_id, sha256) for sha256 in spec.inputs])


def forget_inputs(db: sqlite3.Connection, job_id: int) -> int:
    """A job needs its inputs no more: remove those that no other job needs and nobody else gave too; how many."""
    rows = db.execute("DELETE FROM job_input WHERE job_id = ? RETURNING sha256", (job_id,)).fetchall()
    return sum(_drop(db, f"sha256 = ? AND {NOBODY_ELSES}", bytes.fromhex(row["sha256"]), job_id) for row in rows)


def drop_unused_inputs(db: sqlite3.Connection, before_ms: int, after_ms: int = 0) -> int:
    """Remove every upload from before `before_ms` that no job, region or style refers to; how many.

    `after_ms` leaves older ones alone: there may be very many, and hardly any of them is unused.
    """
    return _drop(db, "created_at > ? AND created_at < ?", after_ms, before_ms)


def drop_inputs(db: sqlite3.Connection, sha256s: Iterable[str]) -> int:
    """Remove those of these uploads (in hex) that nothing refers to any more; how many."""
    return sum(_drop(db, "sha256 = ?", bytes.fromhex(sha256)) for sha256 in sha256s)


def _drop(db: sqlite3.Connection, where: str, *values: bytes | int) -> int:
    rows = db.execute(f"DELETE FROM input_image WHERE {where} AND {UNUSED_INPUT} RETURNING rel_path", values)
    return end_files(db, [row["rel_path"] for row in rows.fetchall()])


def end_files(db: sqlite3.Connection, paths: Iterable[str]) -> int:
    """Let files be removed from the disk that nothing refers to from now on; how many.

    No path is used twice, so nobody can mean one of them again meanwhile.
    """
    rows = [(path,) for path in paths]
    db.executemany("INSERT INTO unlink VALUES (?) ON CONFLICT DO NOTHING", rows)
    return len(rows)


def end_files_of_job(db: sqlite3.Connection, job_id: int) -> None:
    """Let every file of a job be removed, also what a crash left without a row."""
    end_files(db, [files.all_of_job(job_id)])


def ended_files(db: sqlite3.Connection, after: str, limit: int) -> list[str]:
    """Paths to remove, those behind `after` in their order."""
    rows = db.execute("SELECT path FROM unlink WHERE path > ? ORDER BY path LIMIT ?", (after, limit))
    return [str(row["path"]) for row in rows]


def files_removed(db: sqlite3.Connection, paths: Iterable[str]) -> None:
    """They are off the disk."""
    db.executemany("DELETE FROM unlink WHERE path = ?", [(path,) for path in paths])


def known_paths(db: sqlite3.Connection) -> set[str]:
    return {str(row[0]) for row in db.execute("SELECT rel_path FROM image UNION SELECT rel_path FROM input_image")}
