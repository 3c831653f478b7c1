"""What is asked all the time takes no more work with ten times the jobs; `benchmarks.scale` takes the time."""

from __future__ import annotations

from pathlib import Path

from benchmarks import scale
from bot.jobs.store import JobStore
from bot.store.clock import SystemClock
from bot.store.store import Store

A_DAY = 12  # so that the smaller one is older than what figures look at
FEW, MANY = 60 * A_DAY, 600 * A_DAY
SLACK = 3000  # steps of SQLite's machine: a few pages more of an index


async def work(folder: Path, jobs: int) -> dict[str, int]:
    """How many steps SQLite's machine takes for each look; no clock has a say."""
    scale.build(folder / "easel.db", jobs, A_DAY)
    steps, found, clock = [0], {}, SystemClock()

    def count() -> int:
        steps[0] += 10
        return 0

    async with Store.open(folder / "easel.db", clock) as db:
        await db.read(lambda db: db.set_progress_handler(count, 10))
        await db.write(lambda db: db.set_progress_handler(count, 10))
        for name, look in scale.looks(JobStore(db, clock), db, jobs).items():
            await look()  # once before: it may be the first to do so
            steps[0] = 0
            await look()
            found[name] = steps[0]
    return found


async def test_ten_times_the_jobs_are_no_more_work(tmp_path: Path) -> None:
    few, many = await work(tmp_path / "few", FEW), await work(tmp_path / "many", MANY)
    grows = {name: (few[name], many[name]) for name in few if many[name] > 2 * few[name] + SLACK}
    assert grows == {}
    assert len(few) > 20
    assert sum(few.values()) > 10_000, "the looks were counted"
