"""Figures are what one would count by hand, and reading those of years holds nobody up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from statistics import median

import pytest

from benchmarks import scale
from bot.features.stats import store
from bot.features.stats.service import Statistics
from bot.store.clock import DAY_MS, SystemClock
from bot.store.store import Store

JOBS, A_DAY = 900, 4


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("figures") / "easel.db"
    scale.build(path, JOBS, A_DAY)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE job SET outputs = id % 3")
        db.execute("UPDATE job SET started_at = created_at + id % 50, finished_at = created_at + 5000 + id % 90")
        today = SystemClock().now_ms() // DAY_MS
        db.executemany("INSERT INTO refusal VALUES (?, ?, 'busy', 2)", [(today - day, day % 5) for day in range(300)])
    return path


@pytest.mark.parametrize("guild", [None, 3])
@pytest.mark.parametrize("days", [1, 30, 200, 2000])
async def test_figures_are_what_one_counts_by_hand(database: Path, guild: int | None, days: int) -> None:
    clock = SystemClock()
    async with Store.open(database, clock) as db:
        found = await Statistics(db, clock).figures(guild, days)
    first = found.days[0].day
    with closing(sqlite3.connect(database)) as raw:
        raw.row_factory = sqlite3.Row
        jobs = [dict(row) for row in raw.execute("SELECT * FROM job WHERE created_at >= ?", (first * DAY_MS,))]
        refused = [row["count"] for row in raw.execute("SELECT * FROM refusal WHERE day >= ? AND guild_id = "
                   "ifnull(?, guild_id)", (first, guild))]  # fmt: skip
    jobs = [job for job in jobs if guild in (None, job["guild_id"])]
    painted = [job for job in jobs if job["outputs"]]
    total = found.total
    assert len(found.days) == days
    assert (total.jobs, total.images) == (len(jobs), sum(job["outputs"] for job in jobs))
    assert (total.members, total.failed) == (len({job["user_id"] for job in jobs}), 0)
    assert total.wait_ms == (int(median(job["started_at"] - job["created_at"] for job in painted)) if painted else None)
    assert sum(day.jobs for day in found.days) == total.jobs
    assert total.refusals == sum(day.refusals for day in found.days) == sum(refused)


@pytest.mark.parametrize("days", [1, 30, 90, 91, 365, 3650])
def test_years_are_read_in_parts(days: int) -> None:
    now_ms = SystemClock().now_ms()
    parts = store.spans(days, now_ms)
    assert [day for part in parts for day in part] == list(range(now_ms // DAY_MS - days + 1, now_ms // DAY_MS + 1))
    assert len(parts) <= store.MOST_PARTS
