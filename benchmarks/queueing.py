"""How many jobs a second are queued with their price reserved, beside what SQLite does of the same by itself?

    python -m benchmarks.queueing [JOBS]

Four ways, in turns, of a hundred members in five servers, each time in a new file with full durability:
- rows apart: the two rows that are written, the job's and its reservation's with the triggers that book it, each job in
  a transaction of its own, as one who waits for it needs it;
- rows: the same of all jobs in one transaction;
- lifecycle: the bot's own functions, likewise in one;
- store: as the bot does it: all are asked for at once, and each is on the disk when its caller hears of it.
Told are jobs a second, by the clock and by the processor's time, as the median of the rounds.

Two cores that others kept busy (load 10), SQLite 3.40, of processor time: rows apart 2,941, rows 14,142, lifecycle
3,428, store 2,665 a second.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from bot.jobs import lifecycle
from bot.jobs.records import NewJob
from bot.jobs.store import JobStore
from bot.ledger.records import Limits
from bot.store.clock import SystemClock
from bot.store.connection import immediate
from bot.store.migrations import migrate
from bot.store.store import Store
from tests.services.workbench import asked

USERS, SERVERS, ROUNDS = 100, 5, 5
FREE_MC = 10**9
LIMITS = Limits(max_queued=10**6, max_queue=10**6, max_server_queue=10**6)
Took = tuple[float, float]


def jobs(count: int) -> list[NewJob]:
    return [asked(user_id=1 + n % USERS, guild_id=1 + n % SERVERS, price_mc=4000) for n in range(count)]


def connection(path: Path) -> sqlite3.Connection:
    migrate(path, SystemClock().now_ms())
    db = sqlite3.connect(path, isolation_level=None)
    db.row_factory = sqlite3.Row
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        db.execute(f"PRAGMA {pragma}")
    return db


def timed(work: Callable[[], Any]) -> Took:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def lifecycle_alone(folder: Path, new: list[NewJob]) -> Took:
    with closing(connection(folder / "lifecycle.db")) as db:
        return timed(lambda: _all(db, new))


def _all(db: sqlite3.Connection, new: list[NewJob]) -> None:
    with immediate(db):
        for job in new:
            lifecycle.enqueue_all(db, (job,), FREE_MC, LIMITS, 1_000_000)


def rows_alone(folder: Path, new: list[NewJob], at_once: int) -> Took:
    """As many rows as those jobs have, like the ones that their members' first jobs have."""
    with closing(connection(folder / f"rows{at_once}.db")) as db:
        _all(db, new[:USERS])
        patterns = [_pattern(db, table, like) for table, like in (("job", "1"), ("transfer", "kind = 'reserve'"))]
        return timed(lambda: [_write(db, patterns, n, at_once) for n in range(0, len(new), at_once)])


def _pattern(db: sqlite3.Connection, table: str, like: str) -> tuple[str, list[dict[str, Any]]]:
    """A statement that writes one more row, and the rows that there are."""
    hidden = {row["name"] for row in db.execute(f"PRAGMA table_xinfo({table})") if row["hidden"] or row["name"] == "id"}
    rows = [dict(row) for row in db.execute(f"SELECT * FROM {table} WHERE {like} ORDER BY id")]
    rows = [{name: value for name, value in row.items() if name not in hidden} for row in rows]
    names = ", ".join(rows[0])
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in rows[0])}) RETURNING id", rows


def _write(db: sqlite3.Connection, patterns: list[tuple[str, list[dict[str, Any]]]], first: int, count: int) -> None:
    (job, jobs_), (transfer, transfers) = patterns
    with immediate(db):
        for number in range(first, first + count):
            values = {**jobs_[number % len(jobs_)], "interaction_id": 10**9 + number}
            job_id = db.execute(job, values).fetchone()["id"]
            step = {**transfers[number % len(transfers)], "idem": f"reserve:{number}:again", "job_id": job_id}
            db.execute(transfer, step).fetchone()


async def in_store(folder: Path, new: list[NewJob]) -> Took:
    async with Store.open(folder / "easel.db", SystemClock()) as opened:
        store = JobStore(opened, SystemClock())
        clock, processor = time.perf_counter(), time.process_time()
        await asyncio.gather(*(store.enqueue_all([job], FREE_MC, LIMITS) for job in new))
        return time.perf_counter() - clock, time.process_time() - processor


def main(count: int) -> None:
    took: dict[str, list[Took]] = {}
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            ways = _ways(Path(name), jobs(count))
            for way in list(ways) if number % 2 == 0 else reversed(list(ways)):
                took.setdefault(way, []).append(ways[way]())
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, SQLite {sqlite3.sqlite_version}"
    print(f"{count} jobs, {ROUNDS} rounds, {machine}")
    for way in ("rows apart", "rows", "lifecycle", "store"):
        clock, processor = (count / median(each[of] for each in took[way]) for of in (0, 1))
        print(f"{way:12}{clock:8,.0f}/s by the clock, {processor:8,.0f}/s of processor time")


def _ways(folder: Path, new: list[NewJob]) -> dict[str, Callable[[], Took]]:
    return {
        "rows apart": lambda: rows_alone(folder, new, 1),
        "rows": lambda: rows_alone(folder, new, len(new)),
        "lifecycle": lambda: lifecycle_alone(folder, new),
        "store": lambda: asyncio.run(in_store(folder, new)),
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
