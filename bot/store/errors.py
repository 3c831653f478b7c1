"""Why the store does not open or a write does not count, as sentences for whoever runs Easel. Knows no Discord.

StoreError
├── AlreadyRunning     another process holds the data directory
├── NewerDatabase      the database was written by a later Easel
├── ChangedMigration   a migration that ran is not the one that is shipped
├── CorruptDatabase    SQLite's own check failed
├── NoDatabase         there is none here, or it is older than this Easel (`bot.store.external_connection`)
├── NotWritten         a change beside the running bot could not be written (`bot.store.external_connection`)
└── NotRunning         the job is not (or no longer) run by this process: whatever it made does not count
"""

from __future__ import annotations


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


class NoDatabase(StoreError):
    """There is no database here, or one of an older version."""


class NotWritten(StoreError):
    """The change could not be written: the whole transaction was taken back."""


class NotRunning(StoreError):
    """The job was cancelled, requeued or taken over; the caller throws its work away."""
