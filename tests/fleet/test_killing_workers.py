"""kill -9 of workers at random moments under load: every job is delivered once, its pictures are right, credits too.

`EASEL_KILLS=100 python -m pytest tests/fleet/test_killing_workers.py` does it a hundred times.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

from fakes import fake_specs, until
from PIL import Image

from bot.store.clock import SystemClock
from engine.fake import FakeEngine, paint
from engine.fleet.fleet import Fleet
from tests.services.workbench import Workbench, asked, workbench

KILLS = int(os.environ.get("EASEL_KILLS", "4"))
ALLOWANCE_CREDITS = 10**6
PICTURES, SIDE_PX = 2, 64
SETTINGS = {"credits_a_day": ALLOWANCE_CREDITS, "max_queued": 10**6, "max_queue": 10**6, "max_server_queue": 10**6}


async def kill_at_random(fleet: Fleet, dice: random.Random) -> list[float]:
    """Returns when."""
    struck = []
    for _ in range(KILLS):
        await asyncio.sleep(dice.uniform(0.05, 0.5))
        await until(lambda: any(member.backend is not None for member in fleet.members), 60)
        up = [each for each in fleet.processes if fleet.member(each.spec.name).backend is not None and each.pid]
        victim = dice.choice(up)
        member = fleet.member(victim.spec.name)
        ends = member.ends
        os.kill(victim.pid or 0, signal.SIGKILL)
        struck.append(time.monotonic())
        await until(lambda member=member, ends=ends: member.ends > ends)  # type: ignore[misc]
    return struck


async def ask_until(bench: Workbench, done: asyncio.Task[list[float]]) -> list[int]:
    """Jobs of several members, some twenty waiting at any time; their ids."""
    jobs = []
    while not done.done():
        if await bench.store.pending() < 20:
            number = len(jobs)
            new = asked(num_images=PICTURES, seed=number, user_id=1 + number % 5, width=SIDE_PX, height=SIDE_PX)
            jobs.append((await bench.jobs.submit(new)).id)
        await asyncio.sleep(0.01)
    return jobs


async def test_workers_are_killed_at_random_and_nobody_notices(tmp_path: Path) -> None:
    dice = random.Random(KILLS)
    fleet = Fleet(fake_specs(2, step_s=0.005), catalogue=FakeEngine())
    async with workbench(tmp_path, SystemClock(), engine=fleet, **SETTINGS) as bench:
        await until(lambda: all(member.backend is not None for member in fleet.members), 60)
        killing = asyncio.create_task(kill_at_random(fleet, dice))
        jobs = await ask_until(bench, killing)
        await bench.idle(120)
        assert sum(member.ends for member in fleet.members) == KILLS
        assert Counter(job for job, kind, _ in bench.post.sent if kind == "result") == Counter(jobs)
        for seed, job_id in enumerate(jobs):
            await check_job(bench, job_id, seed)
        balances = [await bench.balance(user, 1) for user in range(1, 6)]
        spent = sum([(await bench.store.job(job_id)).charged_mc for job_id in jobs])
        assert sum(ALLOWANCE_CREDITS * 1000 - each.free_mc for each in balances) == spent == 4000 * len(jobs)
        assert {each.reserved_mc for each in balances} == {0}
    print(f"{KILLS} kills, {len(jobs)} jobs")


async def check_job(bench: Workbench, job_id: int, seed: int) -> None:
    """It was painted in the end, by whatever try, and each picture is its seed's."""
    job = await bench.store.job(job_id)
    assert job.state == "done"
    images = await bench.store.images(job_id)
    assert [image.ordinal for image in images] == list(range(PICTURES))
    for image in images:
        with Image.open(bench.files.folder / image.path) as file:
            assert file.convert("RGB").tobytes() == paint(seed + image.ordinal, SIDE_PX, SIDE_PX).tobytes()
