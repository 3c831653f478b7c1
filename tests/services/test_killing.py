"""kill -9 at random moments: what was acknowledged is there once, no credit is lost or kept, no file is left over.

`EASEL_KILLS=50 python -m pytest tests/services/test_killing.py` does it fifty times.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

from chaos import ALLOWANCE_CREDITS, SETTINGS, FilePost, upkeep
from workbench import until, workbench

from bot.backup import archive, keeping
from bot.jobs.files import ASIDE, MARK
from bot.store.clock import DAY_MS, ManualClock, SystemClock

KILLS = int(os.environ.get("EASEL_KILLS", "5"))
HERE = Path(__file__).parent


async def run_and_kill(folder: Path, round_: int, after_s: float) -> None:
    """Start a process on the data, kill it `after_s` seconds after its first acknowledgement."""
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    command = [sys.executable, str(HERE / "chaos.py"), str(folder), str(round_)]
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, "PYTHONPATH": path})
    try:
        await alive_for(process, folder, after_s)
    finally:
        process.kill()
        await process.wait()


async def alive_for(process: asyncio.subprocess.Process, folder: Path, after_s: float) -> None:
    acks, before = folder / "acks.jsonl", len(lines(folder / "acks.jsonl"))

    async def acknowledges() -> bool:
        return len(lines(acks)) > before or process.returncode is not None

    await until(acknowledges, 300)
    await asyncio.sleep(after_s)
    assert process.returncode is None, "it ended by itself"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    dice = random.Random(KILLS)
    for round_ in range(1, KILLS + 1):
        await run_and_kill(tmp_path, round_, dice.uniform(0.0, 0.5))
    post = FilePost(tmp_path / "discord.jsonl", dice)
    async with workbench(tmp_path, SystemClock(), post=post, **SETTINGS) as bench:
        await bench.idle(120)
        assert await upkeep(bench, ManualClock(SystemClock().now_ms() + 2 * DAY_MS)).once() == []
        balances = [await bench.balance(user, 1) for user in range(1, 6)]
    jobs = all_jobs(tmp_path / "easel.db")
    kept = {number: job for number, job in jobs.items() if job["user"]}
    sent = [line for line in lines(tmp_path / "discord.jsonl") if line["job"] in kept]
    acts = lines(tmp_path / "acts.jsonl")
    check_messages(lines(tmp_path / "acks.jsonl"), kept, sent)
    check_files(tmp_path, sent)
    check_backups(tmp_path / "backups")
    given = check_acts(tmp_path / "easel.db", acts)
    assert sum(balance.paid_mc for balance in balances) == given
    for user, balance in enumerate(balances, start=1):
        charged = sum(job["charged"] for job in jobs.values() if job["user"] == user)
        assert (balance.free_mc, balance.reserved_mc) == (ALLOWANCE_CREDITS * 1000 - charged, 0)
    again = sum(job["attempts"] > 1 for job in jobs.values())
    twice = len(lines(tmp_path / "discord.jsonl")) - len(jobs)
    done = ", ".join(f"{count} {kind}" for kind, count in Counter(act["kind"] for act in acts).items())
    print(
        f"{KILLS} kills, {len(jobs)} jobs, {again} painted again, {twice} delivered again with the same message, {done}"
    )


def all_jobs(path: Path) -> dict[int, dict[str, Any]]:
    query = "SELECT j.*, u.discord_id AS user FROM job j JOIN user u ON u.id = j.user_id"
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        return {row["id"]: dict(row) for row in db.execute(query)}


def check_messages(acks: list[dict[str, Any]], jobs: dict[int, dict[str, Any]], sent: list[dict[str, Any]]) -> None:
    """Each job has one message with one content, and it is how the job ended."""
    contents: dict[int, set[str]] = defaultdict(set)
    for line in sent:
        contents[line["job"]].add(json.dumps(line, sort_keys=True))
    for ack in acks:
        assert jobs[ack["job"]]["interaction_id"] == ack["interaction"]
    for job_id, job in jobs.items():
        assert len(contents[job_id]) == 1, f"job {job_id} is in {len(contents[job_id])} messages"
        kind = json.loads(next(iter(contents[job_id])))["kind"]
        assert (job["state"], kind) in {("done", "result"), ("failed", "error"), ("cancelled", "cancelled")}
        if kind == "cancelled":
            assert 0 <= job["charged"] <= job["quote"]
        else:
            assert job["charged"] == (job["quote"] if kind == "result" else 0)


def check_files(folder: Path, sent: list[dict[str, Any]], deleted: Collection[str] = ()) -> None:
    """Every picture that was shown is whole on the disk; no file is there without a row, and no row without a file.

    But for those of a backup that somebody `deleted` while it was made: their rows were in it already.
    """
    images = folder / "images"
    on_disk = {hashlib.sha256(file.read_bytes()).hexdigest() for file in images.rglob("*.png")}
    with closing(sqlite3.connect(folder / "easel.db")) as db:
        marks = ", ".join("?" * len(deleted))
        gone = db.execute(f"SELECT sha256 FROM image WHERE rel_path IN ({marks})", tuple(deleted))
        on_disk |= {row[0].hex() for row in gone}
        assert {sha for line in sent for sha in line["images"]} <= on_disk
        rows = {row[0] for row in db.execute("SELECT rel_path FROM image UNION SELECT rel_path FROM input_image")}
        rows -= set(deleted)
        assert db.execute("SELECT count(*) FROM unlink UNION ALL SELECT count(*) FROM erasure").fetchall() == [(0,)] * 2
    files = {file.relative_to(images).as_posix() for file in images.rglob("*") if file.is_file()}
    assert {path for path in files if not path.startswith(f"{ASIDE}/")} == rows | {MARK}


def check_acts(path: Path, acts: list[dict[str, Any]]) -> int:
    """What was acknowledged is there, once, each with its row in the audit log; what was granted in all."""
    with closing(sqlite3.connect(path)) as db:
        posted = dict(db.execute("SELECT idem, amount FROM transfer WHERE idem GLOB 'give:*' OR idem GLOB 'gift:*'"))
        noted = dict(db.execute("SELECT action, count(*) FROM audit GROUP BY action"))
        there = {row[0] for row in db.execute("SELECT discord_id FROM user")}
    acknowledged = {f"{'give' if act['kind'] == 'grant' else 'gift'}:{act['key']}" for act in acts if "key" in act}
    assert acknowledged <= posted.keys()
    grants = [amount for idem, amount in posted.items() if idem.startswith("give:")]
    assert noted.get("credits.grant", 0) == len(grants)
    assert noted.get("member.gift", 0) == len(posted) - len(grants)
    assert not there & {act["person"] for act in acts if act["kind"] == "forgotten"}
    return sum(grants)


def check_backups(folder: Path) -> None:
    """Every one is whole, and the next one clears up what was cut off."""
    for path in keeping.found(folder):
        archive.verify(path, folder)
    keeping.make(folder.parent, folder, 3, SystemClock().now_ms())
    assert [path for path in folder.iterdir() if path not in keeping.found(folder)] == []
