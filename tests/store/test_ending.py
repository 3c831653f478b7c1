"""After an end in order, a start does not read everything; after any other end it does."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bot.store import lock
from bot.store.clock import ManualClock
from bot.store.errors import CorruptDatabase
from bot.store.store import Store


async def opened(path: Path) -> bool:
    """Start and end in order; whether the end before was in order."""
    async with Store.open(path, ManualClock()) as store:
        return store.ended_well


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A database that was closed in order, with a table that nothing needs."""
    database = tmp_path / "data" / "easel.db"
    await opened(database)
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute(
            "CREATE TABLE filler AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
            " SELECT i, hex(randomblob(20)) AS text FROM n"
        )
    await opened(database)
    return database


def damaged(path: Path) -> None:
    """Damage the table that nothing needs, and leave no sign of it."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size - 4096 * 20)
        file.write(b"\x55" * 4096)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


async def test_an_end_in_order_is_known_once(path: Path) -> None:
    assert await opened(path)
    (path.parent / lock.ENDED).unlink()
    assert not await opened(path)
    assert await opened(path)


async def test_the_first_start_is_no_end(tmp_path: Path) -> None:
    assert not await opened(tmp_path / "new" / "easel.db")


async def test_nothing_is_read_after_an_end_in_order(path: Path) -> None:
    damaged(path)
    assert await opened(path), "the database was read, or the damage is not where nothing looks"
    (path.parent / lock.ENDED).unlink()
    with pytest.raises(CorruptDatabase):
        await opened(path)


async def test_a_killed_process_did_not_end_in_order(path: Path, tmp_path: Path) -> None:
    async with Store.open(path, ManualClock()):
        shutil.copytree(path.parent, tmp_path / "killed")
    assert not await opened(tmp_path / "killed" / "easel.db")


@pytest.mark.parametrize("left", [b"\xd3\xff\xfe\x80garbage", b"", b"1 2 3"])
async def test_a_note_of_the_end_that_is_garbage_is_none(path: Path, left: bytes) -> None:
    (path.parent / lock.ENDED).write_bytes(left)
    assert not await opened(path)
    assert await opened(path)


def touched(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO filler VALUES (0, 'by another program')")


def replaced(path: Path) -> None:
    before = path.stat()
    shutil.copy(path, path.with_suffix(".new"))
    os.utime(path.with_suffix(".new"), ns=(before.st_atime_ns, before.st_mtime_ns))
    path.with_suffix(".new").replace(path)


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [touched, replaced, gone])
async def test_a_database_that_is_another_one_is_looked_at(path: Path, change: Callable[[Path], None]) -> None:
    change(path)
    assert not await opened(path)


async def test_a_reader_that_stays_does_not_hide_a_log(path: Path) -> None:
    """`easel backup` may still read: then the log is not played back into the file, and it is no end in order."""
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        async with Store.open(path, ManualClock()) as store:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM filler").fetchone()
            await store.write(lambda db: db.execute("INSERT INTO filler VALUES (0, 'x')"))
    assert not await opened(path)
