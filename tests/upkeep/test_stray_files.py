"""Files and rows that have lost each other: moved aside, brought back, and never deleted for want of a row."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image

from bot.jobs.files import ASIDE, MARK
from bot.store.clock import ManualClock
from bot.upkeep.stray_files import ASIDE_DAYS, StrayFiles
from engine.fake import FakeEngine
from tests.services.workbench import Workbench, asked, until, workbench

DAY_S = 86_400


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def pictures(folder: Path) -> set[str]:
    """Pictures in their places, as paths."""
    images = folder / "images"
    found = {file.relative_to(images).as_posix() for file in images.rglob("*.png")}
    return {path for path in found if not path.startswith(f"{ASIDE}/")}


def aside(folder: Path) -> set[str]:
    images = folder / "images" / ASIDE
    return {file.relative_to(images).as_posix() for file in images.rglob("*") if file.is_file()}


async def look(bench: Workbench, folder: Path, clock: ManualClock) -> StrayFiles:
    strays = StrayFiles(bench.store.db, bench.files, clock)
    await strays.look_at_all()
    return strays


async def paint(bench: Workbench, count: int = 1) -> None:
    for seed in range(count):
        await bench.jobs.submit(asked(seed=seed, num_images=2))
    await bench.idle()


@asynccontextmanager
async def painted(folder: Path, clock: ManualClock) -> AsyncIterator[Workbench]:
    """A bench with two pictures that the reconciler has seen."""
    async with workbench(folder, clock) as bench:
        await paint(bench)
        await look(bench, folder, clock)
        yield bench


async def test_what_has_rows_stays(tmp_path: Path, clock: ManualClock) -> None:
    async with painted(tmp_path, clock) as bench:
        await bench.jobs.store_input(Image.new("RGB", (8, 8)))
        before = pictures(tmp_path)
        clock.advance(400 * DAY_S)
        await look(bench, tmp_path, clock)
        assert pictures(tmp_path) == before
        assert aside(tmp_path) == set()


async def test_files_of_ended_jobs_without_a_row_are_moved_aside_and_go_after_a_month(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with painted(tmp_path, clock) as bench:
        kept = pictures(tmp_path)
        for name in ("0000/1-9-0badf00d.png", "0000/77-0-0badf00d.png"):  # of a job that ended, and one not known
            (tmp_path / "images" / name).write_bytes(b"of a crash")
        await look(bench, tmp_path, clock)
        assert pictures(tmp_path) == kept
        assert aside(tmp_path) == {"0000/1-9-0badf00d.png", "0000/77-0-0badf00d.png"}
        clock.advance((ASIDE_DAYS - 1) * DAY_S)
        await look(bench, tmp_path, clock)
        assert len(aside(tmp_path)) == 2
        clock.advance(2 * DAY_S)
        await look(bench, tmp_path, clock)
        assert aside(tmp_path) == set()


async def test_what_is_being_painted_is_left_alone(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, engine=FakeEngine(step_s=0.05)) as bench:
        await bench.jobs.submit(asked())

        async def one_is_there() -> bool:
            return bool(pictures(tmp_path))

        await until(one_is_there)
        await look(bench, tmp_path, clock)
        await bench.idle()
        assert aside(tmp_path) == set()
        assert len(pictures(tmp_path)) == 4


async def test_an_upload_may_wait_an_hour_for_its_row(tmp_path: Path, clock: ManualClock) -> None:
    async with painted(tmp_path, clock) as bench:
        file = await bench.files.write_input(b"not noted yet")
        part = tmp_path / "images" / "0000" / "1-0.png.abcd.part"
        part.write_bytes(b"half a")
        for path in (part, tmp_path / "images" / file.path):
            os.utime(path, (clock.now_ms() / 1000,) * 2)
        await look(bench, tmp_path, clock)
        assert file.path in pictures(tmp_path)
        assert part.exists()
        clock.advance(3601)
        await look(bench, tmp_path, clock)
        assert aside(tmp_path) == {file.path}
        assert not part.exists()


async def test_files_to_be_removed_are_not_kept_aside(tmp_path: Path, clock: ManualClock) -> None:
    async with painted(tmp_path, clock) as bench:
        await bench.store.delete_job(1)  # and the process ended before the files went
        await look(bench, tmp_path, clock)
        assert aside(tmp_path) == set()
        await bench.jobs.remove_ended_files()
        assert pictures(tmp_path) == set()


async def test_deleting_a_job_reaches_what_was_moved_aside(tmp_path: Path, clock: ManualClock) -> None:
    async with painted(tmp_path, clock) as bench:
        (tmp_path / "images/0000/1-9-0badf00d.png").write_bytes(b"of a crash")
        await look(bench, tmp_path, clock)
        await bench.jobs.delete(1, by=10)
        assert aside(tmp_path) == pictures(tmp_path) == set()


async def test_a_row_without_a_file_is_counted_and_kept_until_its_file_is_back(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with painted(tmp_path, clock) as bench:
        lost = (tmp_path / "images" / sorted(pictures(tmp_path))[0]).rename(tmp_path / "elsewhere.png")
        strays = await look(bench, tmp_path, clock)
        assert strays.lost == {"0000/": 1}
        assert len(await bench.store.images(1)) == 2
        lost.rename(tmp_path / "images" / (await bench.store.images(1))[0].path)
        await strays.look_at_all()
        assert strays.lost == {"0000/": 0}


async def test_an_older_database_put_back_loses_no_picture(tmp_path: Path, clock: ManualClock) -> None:
    async with painted(tmp_path, clock) as bench:
        await bench.store.db.backup(tmp_path / "old.db")
        await paint(bench, 2)
        everything = pictures(tmp_path)
    newer = put_in_place(tmp_path, tmp_path / "old.db")
    async with workbench(tmp_path, clock) as bench:
        await look(bench, tmp_path, clock)
        assert pictures(tmp_path) | aside(tmp_path) == everything
        assert len(pictures(tmp_path)) == 2
    put_in_place(tmp_path, newer)
    async with workbench(tmp_path, clock) as bench:
        await look(bench, tmp_path, clock)
        assert pictures(tmp_path) == everything, "what was aside is back"


async def test_an_empty_database_touches_nothing(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with painted(tmp_path, clock):
        everything = pictures(tmp_path)
    put_in_place(tmp_path, None)
    clock.advance(400 * DAY_S)
    async with workbench(tmp_path, clock) as bench:
        strays = await look(bench, tmp_path, clock)
        await strays.look()
        assert pictures(tmp_path) == everything
        assert caplog.text.count("belong to another database") == 1
        (tmp_path / "images" / "database").unlink()
        await look(bench, tmp_path, clock)
        assert pictures(tmp_path) == everything, "nobody noted whose they are, and it knows none of them"


def put_in_place(folder: Path, database: Path | None) -> Path:
    """Use another database from now on, or none; where the one of now went."""
    moved = folder / f"moved-{len(list(folder.glob('moved-*')))}.db"
    for end in ("-wal", "-shm"):
        (folder / f"easel.db{end}").unlink(missing_ok=True)
    (folder / "easel.db").rename(moved)
    if database is not None:
        shutil.copy(database, folder / "easel.db")
    return moved


async def test_a_mark_that_is_garbage_is_another_databases(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        await look(bench, tmp_path, clock)
        (tmp_path / "images" / MARK).write_bytes(b"\xd3\xff\xfe\x80")
        stray = tmp_path / "images" / "0000" / "9-0-abc.png"
        stray.parent.mkdir(exist_ok=True)
        stray.touch()
        await look(bench, tmp_path, clock)
    assert stray.exists(), "nothing is tidied up in a folder of somebody else's"
