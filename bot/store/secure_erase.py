"""What deleting leaves behind in files: free pages, the write-ahead log, copies made before migrations."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from bot.store.migrations import backups, read_only_uri


def overwrite(db: sqlite3.Connection) -> None:
    """Write the database anew and empty its write-ahead log. Must run outside a transaction.

    `secure_delete` zeroes what is deleted where it is; a row that moved to another page before has left a copy.
    """
    db.execute("VACUUM")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def empty_log(db: sqlite3.Connection) -> None:
    """Empty the write-ahead log, without waiting for whoever reads from it. Must run outside a transaction."""
    wait_ms = db.execute("PRAGMA busy_timeout").fetchone()[0]
    db.execute("PRAGMA busy_timeout = 0")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute(f"PRAGMA busy_timeout = {wait_ms}")


def drop_backups_with(path: Path, user_id: int) -> None:
    """Remove the copies of the database `path` that know this person, or cannot be read."""
    for copy in backups(path):
        if _knows(copy, user_id):
            _drop(copy)


def drop_backups_before(path: Path, before_ms: int) -> None:
    """Remove the copies made before `before_ms`; the time is in their names."""
    for copy in backups(path):
        made = copy.stem.rsplit("-", 1)[-1]
        if made.isdigit() and int(made) < before_ms:
            _drop(copy)


def _drop(copy: Path) -> None:
    """Remove a copy, and what SQLite put beside it when it was read."""
    for beside in ("-wal", "-shm", ""):
        copy.with_name(f"{copy.name}{beside}").unlink(missing_ok=True)


def _knows(copy: Path, user_id: int) -> bool:
    try:
        with closing(sqlite3.connect(read_only_uri(copy), uri=True)) as db:
            return db.execute("SELECT 1 FROM user WHERE discord_id = ?", (user_id,)).fetchone() is not None
    except sqlite3.Error:
        return True
