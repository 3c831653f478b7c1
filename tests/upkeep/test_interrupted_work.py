"""What is dropped while the process goes on is taken up again, without a restart."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bot.jobs.outbox import TryLater
from bot.store.clock import ManualClock
from bot.upkeep import store as upkeep_store
from bot.upkeep.interrupted_work import InterruptedWork
from tests.services.workbench import Postman, Workbench, asked, until, workbench


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def upkeep(bench: Workbench, clock: ManualClock) -> InterruptedWork:
    return InterruptedWork(bench.store.db, bench.store, bench.dispatcher, clock)


async def test_a_job_that_nobody_paints_is_painted_after_two_looks(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        await bench.dispatcher.loop.stop()
        job = await bench.jobs.submit(asked())
        await bench.store.claim(bench.dispatcher.boot_id, 1)  # and whoever asked for it was lost
        bench.dispatcher.loop.start()
        work = upkeep(bench, clock)
        await work.take_up()
        assert (await bench.store.job(job.id)).state == "running", "it may just be being taken"
        await work.take_up()
        await bench.idle()
        assert bench.post.sent == [(job.id, "result", 4)]


async def test_a_job_that_is_painted_is_left_alone(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        bench.engine.step_s = 0.05
        job = await bench.jobs.submit(asked())
        await bench.heard("Started")
        work = upkeep(bench, clock)
        for _ in range(3):
            await work.take_up()
        await bench.idle()
        assert (await bench.store.job(job.id)).attempts == 1


async def test_a_job_that_is_lost_again_and_again_is_given_up(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        await bench.dispatcher.loop.stop()
        job = await bench.jobs.submit(asked())
        work = upkeep(bench, clock)
        for _ in range(3):
            await bench.store.claim(bench.dispatcher.boot_id, 1)
            await work.take_up()
            await work.take_up()
        await bench.idle()
        assert (await bench.store.job(job.id)).error_code == "given_up"
        assert (await bench.balance(10, 1)).reserved_mc == 0


async def test_no_retry_waits_for_a_clock_that_went_back(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, post=Postman(answers=[TryLater(5.0)])) as bench:
        lost, painted = await bench.jobs.submit(asked("!lost")), await bench.jobs.submit(asked())
        await bench.waits(lost.id, attempts=1)

        async def tried() -> bool:
            return bool(bench.post.nonces) and not await bench.store.due_deliveries()

        await until(tried)
        clock.advance(-86_400)
        await upkeep(bench, clock).put_right()
        clock.advance(301)
        bench.wake()

        async def both_went_on() -> bool:
            again = await bench.store.job(lost.id)
            return again.attempts == 2 and (await bench.store.job(painted.id)).state == "done"

        await until(both_went_on)


async def test_a_result_that_nothing_owes_is_delivered(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        await bench.outbox.stop()
        job = await bench.jobs.submit(asked())

        async def rendered() -> bool:
            return (await bench.store.job(job.id)).state == "rendered"

        await until(rendered)
        await bench.store.write(lambda db: db.execute("DELETE FROM delivery"))
        await upkeep(bench, clock).put_right()
        await bench.outbox.start()
        await bench.idle()
        assert bench.post.sent == [(job.id, "result", 4)]


async def test_credits_that_no_job_holds_come_back(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, start=False) as bench:
        ended, waits = await bench.jobs.submit(asked()), await bench.jobs.submit(asked())
        await bench.store.write(end_without_settling, ended.id)
        assert (await bench.balance(10, 1)).free_mc == 92_000
        await upkeep(bench, clock).put_right()
        assert (await bench.balance(10, 1)).free_mc == 96_000
        assert (await bench.store.job(waits.id)).state == "queued"


def end_without_settling(db: sqlite3.Connection, job_id: int) -> None:
    """As a bug might."""
    db.execute(
        "UPDATE job SET state = 'failed', finished_at = 1, error_code = 'internal', error_text = 'x' WHERE id = ?",
        (job_id,),
    )
    db.execute("INSERT INTO delivery (job_id, kind, nonce, created_at) VALUES (?, 'error', 'n', 1)", (job_id,))


async def test_it_finds_what_it_looks_for_without_reading_everything(tmp_path: Path, clock: ManualClock) -> None:
    """Every minute, with a million jobs: no statement may read a whole table."""
    async with workbench(tmp_path, clock, start=False) as bench:
        seen: list[str] = []

        def noted(db: sqlite3.Connection) -> None:
            db.set_trace_callback(seen.append)

        await bench.store.write(noted)
        await bench.store.read(noted)
        await upkeep(bench, clock).put_right()
        await upkeep(bench, clock).take_up()
        await bench.store.forget_expired()
        await bench.jobs.remove_ended_files()
        await bench.store.read(upkeep_store.known, "inputs/ab/")

        def plans(db: sqlite3.Connection) -> list[str]:
            db.set_trace_callback(None)
            asked_for = {each for each in seen if each.lstrip().startswith(("SELECT", "UPDATE", "DELETE"))}
            return [row["detail"] for each in asked_for for row in db.execute(f"EXPLAIN QUERY PLAN {each}")]

        steps = await bench.store.write(plans)
        assert len(steps) > 10
        whole = [step for step in steps if step.startswith("SCAN") and "INDEX" not in step]
        assert whole == []
