"""Many at once: no overdraft, no lost write, quick acknowledgements."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import NotEnoughCredits
from bot.jobs.lifecycle import enqueue_all
from bot.jobs.records import NewJob
from bot.ledger.records import Limits
from bot.store import key_values
from bot.store.migrations import immediate, migrate
from tests.job_rows import JobRows
from tests.specs import spec_of

Asked = Callable[..., NewJob]


async def test_a_thousand_tasks_cannot_overdraw(store: JobRows, asked: Asked) -> None:
    limits = Limits(max_queued=2000, max_queue=2000)
    tries = [store.enqueue(asked(price_mc=1000), 7000, limits) for _ in range(1000)]
    results = Counter(type(result).__name__ for result in await asyncio.gather(*tries, return_exceptions=True))
    assert results == {"Job": 7, "NotEnoughCredits": 993}
    assert (await store.balance(10, 1, 7000)).free_mc == 0


async def test_a_hundred_people_are_acknowledged_at_once(store: JobRows, asked: Asked) -> None:
    async def one(user_id: int) -> float:
        start = time.perf_counter()
        await store.enqueue(asked(user_id=user_id), 100_000)
        return time.perf_counter() - start

    worst = max(await asyncio.gather(*(one(user) for user in range(1, 101))))
    assert worst < 2.0  # loose for a busy machine; measured 0.03 s
    assert await store.queue_length() == 100


async def test_a_cancelled_caller_does_not_harm_the_writer(store: JobRows, asked: Asked) -> None:
    tasks = [asyncio.create_task(store.enqueue(asked(), 100_000)) for _ in range(8)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.write(key_values.remember, "still", "writing")
    assert await store.read(key_values.recall, "still") == "writing"
    assert await store.queue_length() == 8


async def test_a_refused_write_does_not_harm_its_neighbours(store: JobRows, asked: Asked) -> None:
    results = await asyncio.gather(
        store.enqueue(asked(price_mc=1), 0), store.write(key_values.remember, "a", "b"), return_exceptions=True
    )
    assert isinstance(results[0], NotEnoughCredits)
    assert await store.read(key_values.recall, "a") == "b"


async def test_a_full_disk_refuses_and_then_goes_on(store: JobRows, asked: Asked) -> None:
    pages = await store.db._writer.run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await store.db._writer.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    tries = [store.write(key_values.remember, f"big {n}", "x" * 20_000) for n in range(3)]
    results = await asyncio.gather(*tries, store.enqueue(asked(price_mc=10**9), 5), return_exceptions=True)
    assert [type(result).__name__ for result in results[:3]] == ["OperationalError"] * 3
    await store.db._writer.run(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchone())
    assert (await store.enqueue(asked(), 100_000)).state == "queued"


def _spend(path: str, first: int, tries: int, allowance_mc: int, results: multiprocessing.SimpleQueue[int]) -> None:
    """In another process: try to buy so many pictures of one person's allowance, as three others do."""
    spec = spec_of(prompt="x", width=64, height=64, num_inference_steps=1, guidance_scale=1, scheduler="euler", seed=1,
                model="mini")  # fmt: skip
    bought = 0
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as db:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA synchronous = OFF")
        for n in range(tries):
            new = NewJob(interaction_id=first + n, guild_id=1, channel_id=1, user_id=1, spec=spec, price_mc=1000,
                         application_id=1, reply_token="")  # fmt: skip
            try:
                with immediate(db):
                    enqueue_all(db, (new,), allowance_mc, Limits(max_queued=999), 0)
                bought += 1
            except NotEnoughCredits:
                pass
    results.put(bought)


@pytest.mark.parametrize(("tries", "allowance_mc", "sold"), [(40, 50_000, 50), (250, 1000, 1)])
def test_four_processes_cannot_overdraw(tmp_path: Path, tries: int, allowance_mc: int, sold: int) -> None:
    """Also a thousand tries for one credit: one wins."""
    path = tmp_path / "easel.db"
    migrate(path, 0)
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    workers = [
        context.Process(target=_spend, args=(str(path), 1 + 1000 * n, tries, allowance_mc, results)) for n in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sum(results.get() for _ in workers) == sold
    results.close()


async def test_a_thousand_tasks_race_for_one_credit(store: JobRows, asked: Asked) -> None:
    limits = Limits(max_queued=2000, max_queue=2000)
    tries = [store.enqueue(asked(price_mc=1000), 1000, limits) for _ in range(1000)]
    results = Counter(type(result).__name__ for result in await asyncio.gather(*tries, return_exceptions=True))
    assert results == {"Job": 1, "NotEnoughCredits": 999}


@pytest.mark.parametrize("size", [1, 200])
async def test_everything_acknowledged_is_there_after_closing(
    tmp_path: Path, clock: object, asked: Asked, size: int
) -> None:
    path = tmp_path / "other" / "easel.db"
    async with JobRows.open(path, clock) as store:  # type: ignore[arg-type]
        await asyncio.gather(*(store.write(key_values.remember, f"k{n}", "v") for n in range(size)))
    async with JobRows.open(path, clock) as store:  # type: ignore[arg-type]
        assert [await store.read(key_values.recall, f"k{n}") for n in range(size)] == ["v"] * size
