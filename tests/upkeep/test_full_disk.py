"""A full disk and a locked database pass: what was painted waits, and is neither thrown away nor painted again."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.jobs import run
from bot.jobs.outbox import Receipt
from bot.store import async_wait, connection
from bot.store.clock import ManualClock
from engine.fake import FakeEngine
from tests.services.workbench import asked, until, workbench

STATES = "SELECT state, count(*) AS n FROM job GROUP BY state"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "DISK_PAUSE_S", 0.02)
    monkeypatch.setattr(async_wait, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(connection, "BUSY_S", 0.05)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def waits(said: str, caplog: pytest.LogCaptureFixture) -> None:
    """Wait until the log says that something waits."""

    async def it_does() -> bool:
        return said in caplog.text

    await until(it_does)
    await asyncio.sleep(0.1)  # a few tries more


def states(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(folder / "easel.db")) as db:
        return dict(db.execute(STATES).fetchall())


async def test_pictures_wait_in_memory_while_the_disk_takes_none(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "0000").write_text("no folder can be made here")
    async with workbench(tmp_path, clock) as bench:
        jobs = [await bench.jobs.submit(asked(user_id=user)) for user in (10, 11, 12)]
        await waits("can't be kept yet", caplog)
        assert states(tmp_path) == {"running": 3}
        (tmp_path / "images" / "0000").unlink()
        await bench.idle()
        assert sorted(bench.post.sent) == [(job.id, "result", 4) for job in jobs]
        assert [(await bench.store.job(job.id)).attempts for job in jobs] == [1, 1, 1]


async def test_a_job_that_waits_for_the_disk_can_be_cancelled(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "0000").write_text("no folder can be made here")
    async with workbench(tmp_path, clock) as bench:
        job = await bench.jobs.submit(asked())
        await waits("can't be kept yet", caplog)
        await bench.jobs.cancel(job.id, by=10)
        await bench.nothing_runs()
        assert (await bench.balance(10, 1)).reserved_mc == 0


async def test_a_job_that_waits_for_the_disk_at_a_shutdown_is_painted_by_the_next_process(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "0000").write_text("no folder can be made here")
    async with workbench(tmp_path, clock) as bench:
        job = await bench.jobs.submit(asked())
        await waits("can't be kept yet", caplog)
    assert states(tmp_path) == {"queued": 1}
    (tmp_path / "images" / "0000").unlink()
    async with workbench(tmp_path, clock) as bench:
        await bench.idle()
        assert bench.post.sent == [(job.id, "result", 4)]


async def test_results_wait_while_the_database_is_full(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with workbench(tmp_path, clock, engine=FakeEngine(step_s=0.01)) as bench:
        jobs = [await bench.jobs.submit(asked(user_id=user)) for user in (10, 11, 12)]
        await bench.heard("Started")
        await bench.store.write(fill)
        await waits("database or disk is full", caplog)
        assert "rendered" not in states(tmp_path)
        await bench.store.write(lambda db: db.execute("PRAGMA max_page_count = 1073741823"))
        await bench.idle()
        assert sorted(bench.post.sent) == [(job.id, "result", 4) for job in jobs]
        assert [(await bench.store.job(job.id)).attempts for job in jobs] == [1, 1, 1]
        assert len(list((tmp_path / "images").rglob("*.png"))) == 12


def fill(db: sqlite3.Connection) -> None:
    """Let the database grow no more: SQLite's own limit, and its own error."""
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")


@pytest.mark.parametrize("at", ["Started", "ImageReady"])
async def test_results_wait_while_another_program_holds_the_database(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture, at: str
) -> None:
    async with workbench(tmp_path, clock, engine=FakeEngine(step_s=0.01)) as bench:
        jobs = [await bench.jobs.submit(asked(user_id=user)) for user in (10, 11)]
        await bench.heard(at)
        with closing(sqlite3.connect(tmp_path / "easel.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await waits("database is locked", caplog)
            other.execute("ROLLBACK")
        await bench.idle()
        assert sorted(bench.post.sent) == [(job.id, "result", 4) for job in jobs]
        assert [(await bench.store.job(job.id)).attempts for job in jobs] == [1, 1]


async def test_what_was_posted_is_not_posted_again_while_it_cannot_be_noted(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    other = sqlite3.connect(tmp_path / "easel.db", isolation_level=None)

    class Holding:
        """Posts, and somebody holds the database right then."""

        posted = 0

        async def deliver(self, *_: Any) -> Any:
            self.posted += 1
            other.execute("BEGIN IMMEDIATE")
            return Receipt(message_id=1)

    post = Holding()
    async with workbench(tmp_path, clock, post=post) as bench:
        job = await bench.jobs.submit(asked())
        await waits("database is locked", caplog)
        other.execute("ROLLBACK")
        await bench.idle()
        assert (await bench.store.job(job.id)).state == "done"
    other.close()
    assert post.posted == 1


async def test_an_input_that_cannot_be_read_fails_its_job_after_three_tries(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        sha = await bench.jobs.store_input(Image.new("RGB", (32, 24), "red"))
        (file,) = (tmp_path / "images" / "inputs").rglob("*.png")
        file.unlink()
        file.mkdir()  # reading it is an error of the disk's
        job = await bench.jobs.submit(asked(task="img2img", init_image=sha, strength=0.5))
        for pause_s, attempts in ((5, 1), (30, 2)):
            await bench.waits(job.id, attempts)
            clock.advance(pause_s)
            bench.wake()
        await bench.idle()
        assert "can't be read from the disk" in str((await bench.store.job(job.id)).error_text)
        shutil.rmtree(file)
