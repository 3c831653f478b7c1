"""What grows with the number of jobs behind it: the start, history, figures, the queue, credits, tidying up?

    python -m benchmarks.scale [JOBS ...]

Without numbers: 10,000 jobs and a million, which take 2 GiB of disk. A store of a million is as busy as one of 10,000
and older: 333 jobs a day, of 200 members in 5 servers, each with a free allowance a day. The median of some tries is
told, and how many times the first size's it is. Only a start after a crash may grow: all of the database is checked.

2 busy cores, Python 3.11, SQLite 3.40, 1.2 GiB: a start in order 33 and 50 ms, after a crash 0.8 and 58 s; figures of a
server 62 and 60 ms, of all 100 and 47 ms; everything else under 1.5 ms and within a factor of two or a millisecond.
Figures take longer the more jobs the days have that are asked for: 5 s for a million, in 90 reads of 50 ms.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from statistics import median

from bot.config import Settings
from bot.features.audit import store as audit_store
from bot.features.gallery import store as gallery_store
from bot.features.history import store as history_store
from bot.features.privacy import personal_data
from bot.features.privacy import store as privacy_store
from bot.features.stats import store as statistics_store
from bot.jobs import images as image_rows
from bot.jobs.dispatcher import Dispatcher
from bot.jobs.event_relay import Listener
from bot.jobs.files import ImageFiles
from bot.jobs.outbox import Outbox
from bot.jobs.store import JobStore
from bot.ledger import accounts
from bot.ledger.records import Limits
from bot.store import lock
from bot.store.clock import DAY_MS, SystemClock
from bot.store.migrations import migrate
from bot.store.store import Store
from bot.upkeep import store as upkeep_store
from engine.fake import FakeEngine
from tests.services.workbench import Ear, Postman, asked
from tests.specs import spec_in

USERS, GUILDS, JOBS_A_DAY, WAITING = 200, 5, 333, 100
TRIES, MOST, FAST_MS = 15, 2.0, 1.0
NEWCOMER = 10**6  # somebody with five jobs
ANN = 8  # a member with many

JOBS = """  -- by interactions that nobody asks with again
INSERT INTO job (interaction_id, guild_id, channel_id, user_id, state, vtime, cost, spec, spec_version, quote, charged,
                 application_id, reply_until, created_at, started_at, finished_at)
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :jobs)
SELECT (1 << 40) + n, 1 + n % :guilds, 1, 1 + n % :users, 'done', n, 1, :spec, 1, 1000, 1000, 1, 0, :began + n * :step,
       :began + n * :step + 1000, :began + n * :step + 5000 FROM n
"""
IMAGES = """
INSERT INTO image (job_id, role, ordinal, seed, rel_path, mime, width, height, bytes, sha256, recipe, created_at)
SELECT id, 'output', 0, 7, printf('%04d/%d-0-00000000.png', id / 1000, id), 'image/png', 512, 512, 9, randomblob(32),
       '{}', created_at FROM job WHERE state = 'done'
"""
DELIVERIES = """
INSERT INTO delivery (job_id, kind, nonce, created_at, delivered_at)
SELECT id, 'result', printf('%d', id), created_at, created_at FROM job WHERE state = 'done'
"""
PURSES = """
INSERT INTO account (kind, guild_id, user_id, period)
SELECT DISTINCT 'free', guild_id, user_id, strftime('%Y-%m-%d', created_at / 1000, 'unixepoch') FROM job
ORDER BY created_at
"""
PURSE = """
JOIN account a ON a.kind = 'free' AND a.guild_id = j.guild_id AND a.user_id = j.user_id
 AND a.period = strftime('%Y-%m-%d', j.created_at / 1000, 'unixepoch')
JOIN account o ON o.kind = :other AND o.guild_id = j.guild_id
"""
TRANSFERS = (
    """
    INSERT INTO transfer (idem, kind, debit_id, credit_id, amount, reason, created_at)
    SELECT 'grant:' || a.id, 'direct', i.id, a.id, 100000, 'free credits', 0
    FROM account a JOIN account i ON i.kind = 'issuer' AND i.guild_id = a.guild_id WHERE a.kind = 'free' ORDER BY a.id
    """,
    "INSERT INTO allowance SELECT id, 100000, 0 FROM account WHERE kind = 'free'",
    f"""
    INSERT INTO transfer (idem, kind, debit_id, credit_id, amount, job_id, reason, created_at)
    SELECT 'reserve:' || j.id, 'reserve', a.id, o.id, 1000, j.id, 'price', j.created_at FROM job j {PURSE}
    ORDER BY j.id
    """,
    """
    INSERT INTO transfer (idem, kind, debit_id, credit_id, amount, pending_id, job_id, reason, created_at)
    SELECT 'settle:' || id, 'settle', debit_id, credit_id, 1000, id, job_id, 'pictures', created_at
    FROM transfer WHERE kind = 'reserve' ORDER BY id
    """,
)
AUDIT = """
INSERT INTO audit (at, guild_id, actor_id, action, target, details)
SELECT created_at, guild_id, user_id, 'credits.grant', 'user:' || user_id, '{}' FROM job WHERE id % 10 = 0
"""


def build(path: Path, jobs: int, a_day: int = JOBS_A_DAY) -> None:
    """A database with so many finished jobs of one picture each, all that belongs to them, and no file."""
    now_ms = SystemClock().now_ms()
    migrate(path, now_ms)
    values = {"width": 512, "height": 512, "num_inference_steps": 20, "guidance_scale": 4.0, "scheduler": "euler"}
    spec = json.dumps(spec_in({}, prompt="a red boat", seed=7, model="mini", **values).to_json())
    step = DAY_MS // a_day
    facts = {"jobs": jobs, "guilds": GUILDS, "users": USERS, "spec": spec, "step": step, "began": now_ms - jobs * step}
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.executemany("INSERT INTO guild (id, created_at) VALUES (?, 0)", [(n,) for n in range(1, GUILDS + 1)])
        db.executemany("INSERT INTO user (discord_id, created_at) VALUES (?, 0)", [(n,) for n in range(1, USERS + 1)])
        db.executemany(
            "INSERT INTO account (kind, guild_id) VALUES (?, ?)",
            [(kind, n) for n in range(1, GUILDS + 1) for kind in ("issuer", "spent", "expired")],
        )
        db.execute(JOBS, facts)
        for statement in (IMAGES, DELIVERIES, PURSES, *TRANSFERS, AUDIT):
            db.execute(statement, {"other": "spent"} if ":other" in statement else {})
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def start(folder: Path) -> float:
    """Milliseconds from opening the database to a dispatcher and an outbox that serve."""
    clock, settings = SystemClock(), Settings(_env_file=None, data_dir=folder, min_free_mib=0)
    listener: Listener = Ear()
    began = time.perf_counter()
    async with Store.open(settings.database_path, clock) as opened, FakeEngine() as engine:
        store, files = JobStore(opened, clock), ImageFiles(settings.images_dir)
        dispatcher = Dispatcher(store, engine, files, listener, settings, clock)
        outbox = Outbox(store, Postman(), clock)
        await outbox.start()
        await dispatcher.start()
        took_ms = (time.perf_counter() - began) * 1000
        await dispatcher.stop()
        await outbox.stop()
    return took_ms


async def waiting(store: JobStore) -> None:
    """Have each of many members wait for a job."""
    many = Limits(max_queued=10**6, max_queue=10**6, max_server_queue=10**6)
    for user in range(1, WAITING + 1):
        await store.enqueue_all([asked(user_id=user, guild_id=1 + (user - 1) % GUILDS)], 10**9, many)


def looks(store: JobStore, db: Store, jobs: int) -> dict[str, Callable[[], Awaitable[object]]]:
    """What people and the bot do all the time, by name."""
    now_ms, guild = SystemClock().now_ms(), 1 + (ANN - 1) % GUILDS
    month_ago_ms = now_ms - 400 * 365 * DAY_MS
    found = history_store.Wanted(words=("boat",))
    return {
        "history, first page": lambda: store.history(ANN, guild, None, 5),
        "history, an old page": lambda: store.history(ANN, guild, jobs // 2, 5),
        "history, searched": lambda: db.read(history_store.search, ANN, guild, found, None, 5),
        "a picture's family": lambda: db.read(history_store.family, jobs // 2),
        "a job and its pictures": lambda: store.images(jobs // 2),
        "figures of a server": lambda: db.read(statistics_store.figures, guild, 30, now_ms),
        "figures of all": lambda: db.read(statistics_store.figures, None, 30, now_ms),
        "asking for a job": lambda: store.enqueue_all(
            [asked(user_id=ANN, guild_id=guild)], 10**9, Limits(max_queued=10**6)
        ),
        "the queue's length": store.queue_length,
        "a place in the queue": lambda: store.position(jobs + WAITING),
        "the queue as a list": lambda: store.active_in(None),
        "claiming a job": lambda: store.claim("boot", 1),
        "what is owed": store.due_deliveries,
        "what is owed next": store.next_delivery_ms,
        "what could not be delivered": lambda: store.undelivered(None, 20),
        "a balance": lambda: db.read(accounts.balance, ANN, guild, 10**9, "day", now_ms),
        "an account's last lines": lambda: db.read(accounts.entries, ANN, guild, 8),
        "the audit log's end": lambda: db.read(audit_store.search, audit_store.AuditQuery(guild_id=guild), 20),
        "somebody else's export": lambda: db.read(personal_data.export, USERS + 1, NEWCOMER),
        "tidying: results not owed": lambda: db.write(upkeep_store.owe_again, now_ms),
        "tidying: credits not held": lambda: db.write(upkeep_store.release_strays, now_ms),
        "tidying: waits": lambda: db.write(upkeep_store.clamp_waits, now_ms, now_ms),
        "tidying: a folder": lambda: db.read(upkeep_store.known, "0000/"),
        "tidying: what has expired": store.forget_expired,
        "tidying: files to remove": lambda: db.read(image_rows.ended_files, "", 200),
        "tidying: retention": lambda: db.write(privacy_store.forget_jobs_before, month_ago_ms, now_ms),
        "tidying: the gallery": lambda: db.read(gallery_store.stale),
    }


async def measured(folder: Path, jobs: int) -> dict[str, float]:
    """Medians in ms, by what was done."""
    times = {"a start after an end in order": median([await start(folder) for _ in range(3)])}
    (folder / lock.ENDED).unlink()
    times["a start after a crash"] = await start(folder)
    clock = SystemClock()
    async with Store.open(folder / "easel.db", clock) as db:
        store = JobStore(db, clock)
        await db.write(
            lambda db: db.execute("INSERT INTO user (discord_id, created_at) VALUES (?, 0)", (NEWCOMER,)).rowcount
        )
        await waiting(store)
        for name, look in looks(store, db, jobs).items():
            tries = []
            for _ in range(TRIES):
                began = time.perf_counter()
                await look()
                tries.append((time.perf_counter() - began) * 1000)
            times[name] = median(tries)
    return times


async def main(sizes: list[int]) -> int:
    found: dict[int, dict[str, float]] = {}
    for jobs in sizes:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            build(folder / "easel.db", jobs)
            found[jobs] = await measured(folder, jobs)
            print(f"{jobs:,} jobs: {(folder / 'easel.db').stat().st_size >> 20:,} MiB", file=sys.stderr)
    first, grown = found[sizes[0]], 0
    for name in first:
        times = [found[jobs][name] for jobs in sizes]
        grows = times[-1] > max(MOST * times[0], FAST_MS) and name != "a start after a crash"
        grown += grows
        print(
            f"{name:32}", *(f"{each:9.2f} ms" for each in times), f"{times[-1] / times[0]:7.1f}x{' !' if grows else ''}"
        )
    return grown


if __name__ == "__main__":
    sys.exit(asyncio.run(main([int(size) for size in sys.argv[1:]] or [10_000, 1_000_000])))
