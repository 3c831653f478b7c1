"""How long does a start take with many jobs behind it, after an end in order and after a crash?

    PYTHONPATH=.:tests/services python -m benchmarks.start [JOBS ...]

Without numbers: 10,000 jobs and a million, which take 0.7 GiB of disk.

2 cores, Python 3.11, SQLite 3.40: 0.01 s with 10,000 jobs and with 300,000 after an end in order (before, all of the
database was read); after a crash, 0.25 and 3.3 s.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from workbench import Ear, Postman

from bot.config import Settings
from bot.jobs.dispatcher import Dispatcher
from bot.jobs.event_relay import Listener
from bot.jobs.files import ImageFiles
from bot.jobs.outbox import Outbox
from bot.jobs.store import JobStore
from bot.store import lock
from bot.store.clock import SystemClock
from bot.store.migrations import migrate
from bot.store.store import Store
from engine.fake import FakeEngine
from tests.specs import spec_in

USERS, GUILDS = 200, 5


def build(path: Path, jobs: int) -> None:
    """A database with so many finished jobs of one picture each."""
    clock = SystemClock()
    migrate(path, clock.now_ms())
    values = {"width": 512, "height": 512, "num_inference_steps": 20, "guidance_scale": 4.0, "scheduler": "euler"}
    spec = json.dumps(spec_in({}, prompt="a red boat", seed=7, model="mini", **values).to_json())
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.executemany("INSERT INTO guild (id, created_at) VALUES (?, 0)", [(n,) for n in range(1, GUILDS + 1)])
        db.executemany("INSERT INTO user (discord_id, created_at) VALUES (?, 0)", [(n,) for n in range(1, USERS + 1)])
        db.executemany(
            "INSERT INTO job (interaction_id, guild_id, channel_id, user_id, state, vtime, cost, spec, spec_version,"
            " quote, application_id, reply_until, created_at, started_at, finished_at)"
            " VALUES (?, ?, 1, ?, 'done', ?, 1, ?, 1, 0, 1, 0, ?, ?, ?)",
            ((n, 1 + n % GUILDS, 1 + n % USERS, n, spec, n, n, n) for n in range(1, jobs + 1)),
        )
        db.executemany(
            "INSERT INTO image (job_id, role, ordinal, seed, rel_path, mime, width, height, bytes, sha256, recipe,"
            " created_at) VALUES (?, 'output', 0, 7, ?, 'image/png', 512, 512, 9, ?, '{}', ?)",
            (
                (n, f"{n // 1000:04d}/{n}-0-00000000.png", hashlib.sha256(str(n).encode()).digest(), n)
                for n in range(1, jobs + 1)
            ),
        )
        db.commit()


async def start(folder: Path) -> float:
    """Seconds from opening the database to a dispatcher and an outbox that serve."""
    clock, settings = SystemClock(), Settings(_env_file=None, data_dir=folder, min_free_mib=0)
    listener: Listener = Ear()
    began = time.perf_counter()
    async with Store.open(settings.database_path, clock) as opened, FakeEngine() as engine:
        store, files = JobStore(opened, clock), ImageFiles(settings.images_dir)
        dispatcher, outbox = (
            Dispatcher(store, engine, files, listener, settings, clock),
            Outbox(store, Postman(), clock),
        )
        await outbox.start()
        await dispatcher.start()
        took_s = time.perf_counter() - began
        await dispatcher.stop()
        await outbox.stop()
    return took_s


async def main(sizes: list[int]) -> None:
    for jobs in sizes:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            build(folder / "easel.db", jobs)
            await start(folder)
            in_order = await start(folder)
            (folder / lock.ENDED).unlink()
            crashed = await start(folder)
            size_mib = (folder / "easel.db").stat().st_size >> 20
        print(
            f"{jobs:>9,} jobs, {size_mib:>5} MiB: {in_order:.3f} s after an end in order, {crashed:.3f} s after a crash"
        )


if __name__ == "__main__":
    asyncio.run(main([int(size) for size in sys.argv[1:]] or [10_000, 1_000_000]))
