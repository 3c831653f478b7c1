"""Why the store does not open or a write does not count, as sentences for whoever runs Easel. Knows no Discord.

StoreError
├── AlreadyRunning     another process holds the data directory
├── NewerDatabase      the database was written by a later Easel
├── ChangedMigration   a migration that ran is not the one that is shipped
├── CorruptDatabase    SQLite's own check failed
├── ForeignDatabase    the database is another program's
├── FolderUnusable     the data folder cannot be written, and a person has to change that
├── NoSpace            the disk is full
├── DatabaseLocked     another program works on the database
├── BackupBroken       the file is no whole backup
├── NoDatabase         there is none here, or it is older than this Easel (`bot.store.external_connection`)
├── NotWritten         a change beside the running bot could not be written (`bot.store.external_connection`)
└── NotRunning         the job is not (or no longer) run by this process: whatever it made does not count
"""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path


class StoreError(Exception):
    """The database cannot be used."""


class AlreadyRunning(StoreError):
    """Another Easel uses this data directory."""


class NewerDatabase(StoreError):
    """The database is newer than this Easel."""


class ChangedMigration(StoreError):
    """A migration was changed after it ran."""


class CorruptDatabase(StoreError):
    """The database is damaged."""


class ForeignDatabase(StoreError):
    """The database is another program's."""


class FolderUnusable(StoreError):
    """The data folder cannot be written."""


class NoSpace(StoreError):
    """The disk is full."""


class DatabaseLocked(StoreError):
    """Another program works on the database."""


def unusable(folder: Path, error: OSError) -> StoreError:
    """What a failed write in the data folder means for whoever runs Easel."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"The disk of {folder} is full. Make room, and start Easel again; nothing is lost.")
    why = error.strerror or str(error)
    if error.filename and str(error.filename) != str(folder):
        why += f": {error.filename}"
    return FolderUnusable(
        f"The folder {folder} can't be written ({why}). Give it to the user that Easel runs as, or "
        "choose another one with EASEL_DATA_DIR."
    )


def of_file(error: OSError) -> str:
    """What a file or a folder lacks, wherever it is, as a sentence."""
    where = f"{error.filename} can't be used ({error.strerror})" if error.filename else str(error)
    return f"{where}. It has to be there, and the user that Easel runs as has to be allowed to read and write it."


def unopened(path: Path, error: sqlite3.Error) -> StoreError | None:
    """Why a database can't be used, though it may be whole; None for what says nothing of its file."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says more precisely what
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return DatabaseLocked(f"Another program has locked {path}. Close it, and start Easel again.")
    if code == sqlite3.SQLITE_FULL:
        return unusable(path.parent, OSError(errno.ENOSPC, str(error)))
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM):
        return unusable(path.parent, OSError(errno.EACCES, str(error)))
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return CorruptDatabase(f"The database {path} is damaged ({error}). Restore a backup: easel restore FILE")
    return None


class BackupBroken(StoreError):
    """The file is no whole backup: nothing of it is used."""


class NoDatabase(StoreError):
    """There is no database here, or one of an older version."""


class NotWritten(StoreError):
    """The change could not be written: the whole transaction was taken back."""


class NotRunning(StoreError):
    """The job was cancelled, requeued or taken over; the caller throws its work away."""
