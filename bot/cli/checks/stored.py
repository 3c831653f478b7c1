"""What is stored: the database, and the folder of the pictures, each there and of this Easel. Changes neither."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from bot.cli.checks.finding import Check
from bot.config import Settings
from bot.jobs.files import MARK, MARKED
from bot.store import key_values
from bot.store.errors import DatabaseLocked, StoreError, unopened
from bot.store.migrations import check_writable, missing_steps, read_only_uri

LOCKED_S = 2.0


def database(settings: Settings) -> Iterator[Check]:
    """Whether it can be opened. Whether all of it is whole is looked at after a crash, by the start."""
    path, pictures = settings.database_path, settings.images_dir
    if not path.exists():
        if (pictures / MARK).exists():
            sentence = f"{path} is gone, but its pictures are in {pictures}. Restore a backup: easel restore FILE"
            yield Check("database", "bad", sentence, vital=False)
        else:
            yield Check("database", "ok", "there is none yet; the first start makes it.")
        return
    try:
        with closing(sqlite3.connect(read_only_uri(path), uri=True, timeout=LOCKED_S)) as db:
            db.row_factory = sqlite3.Row
            check_writable(path)
            steps, marked = missing_steps(db), key_values.recall(db, MARKED) if _has_notes(db) else None
    except (StoreError, sqlite3.Error) as error:
        told = unopened(path, error) if isinstance(error, sqlite3.OperationalError) else error
        if isinstance(told, StoreError):
            yield Check("database", "bad", str(told), passing=isinstance(told, DatabaseLocked))
        else:  # the start says which backup there is
            yield Check("database", "bad", f"{path} can't be read ({error}). Restore a backup.", vital=False)
        return
    yield Check("database", "ok", f"{len(steps)} steps behind; the next start updates it." if steps else "up to date.")
    yield _pictures(settings, marked=marked is not None)


def _has_notes(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'note'").fetchone() is not None


def _pictures(settings: Settings, *, marked: bool) -> Check:
    folder = settings.images_dir
    if marked and not (folder / MARK).exists():
        missing = "is missing" if not folder.exists() else f"holds no file {MARK!r}"
        sentence = (
            f"{folder} {missing}: mount the disk with the pictures there. No job is taken until then. If they're gone "
            f"for good: mkdir -p {folder} && touch {folder / MARK}"
        )
        return Check("images", "bad", sentence, vital=False)
    return Check("images", "ok", f"in {folder}.")
