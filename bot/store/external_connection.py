"""A second connection beside the running bot, for one short change or look at a time. Knows no tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bot.store.errors import NoDatabase, NotWritten, unopened, unusable
from bot.store.migrations import immediate, missing_steps

WAIT_S = 30.0  # for the bot's own transactions, which take milliseconds


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A snapshot of the database. Raises: StoreError: every kind that says why it can't be read."""
    with _connected(path) as db:
        db.execute("PRAGMA query_only = ON")
        db.execute("BEGIN")
        yield db


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction, on disk once it is left. Raises: NotWritten, and what `reading` raises."""
    with _connected(path) as db:
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA wal_autocheckpoint = 0")  # the bot's: two checkpoints at once upset old SQLites
        try:
            with immediate(db):
                yield db
        except sqlite3.OperationalError as error:  # a full disk, say, or a bot that is busy for half a minute
            raise NotWritten(f"The database couldn't be written ({error}), so nothing was changed.") from error


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        if not _is_there(path):
            raise NoDatabase(f"There is no database at {path}. Start Easel once, or set EASEL_DATA_DIR to its folder.")
        with closing(sqlite3.connect(path, isolation_level=None, timeout=WAIT_S)) as db:
            if missing_steps(db):
                raise NoDatabase(f"The database {path} is older than this Easel. Bring it up to date: easel migrate")
            db.row_factory = sqlite3.Row
            yield db
    except sqlite3.DatabaseError as error:
        raise unopened(path, error) or error from error


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise unusable(path.parent, error) from error
