"""`easel backup` and `easel restore`: the data folder into one file, and back."""

from __future__ import annotations

import argparse
import sqlite3
import time
from pathlib import Path

from bot.backup import archive, keeping
from bot.backup.archive import Contents
from bot.backup.restore import restore
from bot.config import Settings
from bot.errors import BadInput
from bot.features.privacy import store as privacy_store
from bot.store.clock import SystemClock
from bot.store.errors import NoDatabase, StoreError
from bot.store.external_connection import reading, writing
from bot.store.lock import directory_lock
from bot.store.migrations import migrate


def back_up(args: argparse.Namespace, settings: Settings) -> int:
    """Write a backup. Raises: StoreError, BadInput."""
    if not settings.database_path.is_file():
        raise NoDatabase(f"There is no database at {settings.database_path}. Set EASEL_DATA_DIR to Easel's folder.")
    target: Path = args.to or settings.backups_dir
    now_ms = SystemClock().now_ms()
    try:
        if target.suffix == ".zip":
            path, contents = target, archive.write(settings.data_dir, target, now_ms)
        else:
            path, contents = keeping.make(settings.data_dir, target, settings.backup_keep, now_ms)
    except (OSError, sqlite3.Error) as error:
        raise BadInput(f"The backup could not be written to {target} ({error}). Nothing was changed.") from error
    print(f"Wrote {path} and read it again: {_summary(contents)}.")
    if contents.missing:
        print(f"{len(contents.missing)} pictures are gone from the disk, and are not in it.")
    return 0


def put_back(args: argparse.Namespace, settings: Settings) -> int:
    """Put a backup back, or only check it. Raises: StoreError, BadInput."""
    path: Path = args.file
    if args.check:
        try:
            contents = archive.verify(path, settings.data_dir if settings.data_dir.is_dir() else path.parent)
        except OSError as error:
            raise BadInput(f"{path} can't be read ({error.strerror or error}).") from error
        print(f"{path} is whole: {_summary(contents)}.")
        return 0
    now_ms = SystemClock().now_ms()
    restored = restore(path, settings.data_dir, now_ms)
    print(f"{settings.data_dir} is again what it was then: {_summary(restored.contents)}.")
    if restored.replaced:
        if again := _forget_again(restored.replaced[0] / archive.DATABASE, settings.database_path, now_ms):
            print(f"Asked to be forgotten since then: {again}. The next start forgets them again.")
        where = " and ".join(map(str, restored.replaced))
        print(f"What was there before is in {where}. Delete that once you don't need it any more.")
    return 0


def _forget_again(replaced: Path, database: Path, now_ms: int) -> int:
    """Ask for the erasure of those who left after the backup was made, as far as the database before knew them."""
    try:
        with reading(replaced) as before:
            left = privacy_store.who_left(before)
    except (StoreError, sqlite3.Error):  # it was damaged, or older: that may be why there is a restore
        return 0
    if not left:
        return 0
    with directory_lock(database.parent):
        migrate(database, now_ms)
        with writing(database) as db:
            return privacy_store.ask_erasure_again(db, left, now_ms)


def _summary(contents: Contents) -> str:
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(contents.made_ms / 1000))
    return f"the database and {contents.pictures} pictures of {made}, {contents.bytes / 2**20:,.1f} MiB"
