"""A folder or a database that can't be opened now is one sentence, and is not called damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.store.clock import ManualClock
from bot.store.errors import CorruptDatabase, DatabaseLocked, FolderUnusable, NoSpace, unopened
from bot.store.migrations import migrate
from bot.store.store import Store


async def opened(path: Path) -> None:
    async with Store.open(path, ManualClock()):
        pass


async def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(FolderUnusable, match="EASEL_DATA_DIR"):
        await opened(tmp_path / "data" / "easel.db")


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderUnusable, match="can't be written"):
        await opened(tmp_path / "file" / "data" / "easel.db")


async def test_a_database_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "easel.db").mkdir()
    with pytest.raises(FolderUnusable, match="can't be written"):
        await opened(tmp_path / "easel.db")


def test_a_locked_database_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    migrate(path, 0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseLocked, match="locked"):
            migrate(path, 0, timeout_s=0.1)
    assert migrate(path, 0) == []


def test_a_full_disk_while_migrating(tmp_path: Path) -> None:
    """SQLite's own limit plays the disk."""
    with closing(sqlite3.connect(tmp_path / "easel.db", isolation_level=None)) as db:
        db.execute("PRAGMA max_page_count = 2")
        db.execute("CREATE TABLE t (x)")
        with pytest.raises(sqlite3.OperationalError) as full:
            db.execute("INSERT INTO t VALUES (zeroblob(100000))")
    assert isinstance(unopened(tmp_path / "easel.db", full.value), NoSpace)


def test_what_is_no_database_is_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "easel.db").write_bytes(b"hello" * 1000)
    with pytest.raises(CorruptDatabase, match="damaged"):
        migrate(tmp_path / "easel.db", 0)
