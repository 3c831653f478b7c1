"""What is asked all the time takes no more work with ten times the jobs; `benchmarks.scale` takes the time."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import scale
from bot.config import Settings
from bot.demo.simulation import stage
from bot.jobs.store import JobStore
from bot.store.clock import SystemClock
from bot.store.store import Store
from engine.fake import FakeEngine

A_DAY = 12  # so that the smaller one is older than what figures look at
FEW, MANY = 60 * A_DAY, 600 * A_DAY
START_SLACK = 500
SLACK = 3000  # steps of SQLite's machine: a few pages more of an index


async def work(folder: Path, jobs: int) -> dict[str, int]:
    """How many steps SQLite's machine takes for each look; no clock has a say."""
    scale.build(folder / "easel.db", jobs, A_DAY)
    steps, found, clock = [0], {}, SystemClock()

    def count() -> int:
        steps[0] += 10
        return 0

    async with Store.open(folder / "easel.db", clock) as db:
        await scale.waiting(JobStore(db, clock))
        await db.read(lambda db: db.set_progress_handler(count, 10))
        await db.write(lambda db: db.set_progress_handler(count, 10))
        for name, look in scale.looks(JobStore(db, clock), db, jobs).items():
            await look()  # once before: it may be the first to do so
            steps[0] = 0
            await look()
            found[name] = steps[0]
    return found


async def start_work(folder: Path, jobs: int, patch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many steps each statement of a whole start takes, and of a first look at what is to be put right."""
    scale.build(folder / "easel.db", jobs, A_DAY)
    settings = Settings(_env_file=None, data_dir=folder, min_free_mib=0)
    async with stage(settings, make_engine=FakeEngine):  # a start after an end in order is what people wait for
        pass
    steps: Counter[str] = Counter()
    with patch.context() as patched:
        connect = sqlite3.connect
        for module in (sqlite3, sqlite3.dbapi2):
            patched.setattr(module, "connect", lambda *args, **options: counted(connect(*args, **options), steps))
        async with stage(settings, make_engine=FakeEngine) as studio:
            await studio.app.reconciler.once()
    return steps


def counted(db: sqlite3.Connection, steps: Counter[str]) -> sqlite3.Connection:
    now = [""]

    def begins(statement: str) -> None:
        now[0] = re.sub(r"'[^']*'|\d+", "?", statement)

    def count() -> int:
        steps[now[0]] += 10
        return 0

    db.set_trace_callback(begins)
    db.set_progress_handler(count, 10)
    return db


async def test_a_start_after_ten_times_the_jobs_is_no_more_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = await start_work(tmp_path / "few", FEW, monkeypatch)
    many = await start_work(tmp_path / "many", MANY, monkeypatch)
    assert {name: steps for name, steps in many.items() if steps > 2 * few.get(name, 0) + START_SLACK} == {}
    assert sum(few.values()) > 1000, "the start was counted"


async def test_ten_times_the_jobs_are_no_more_work(tmp_path: Path) -> None:
    few, many = await work(tmp_path / "few", FEW), await work(tmp_path / "many", MANY)
    grows = {name: (few[name], many[name]) for name in few if many[name] > 2 * few[name] + SLACK}
    assert grows == {}
    assert len(few) > 20
    assert sum(few.values()) > 10_000, "the looks were counted"
