"""Deliveries: tried until they work, refunded when they never can."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from workbench import Postman, Workbench, asked, until, workbench

from bot.jobs.outbox import MOST_TRIES, TokenRefused, TryLater, Undeliverable
from bot.jobs.records import OutboxEntry
from bot.store.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def failed_tries(bench: Workbench, count: int) -> None:
    """Wait until that many tries were noted as failed."""

    async def noted() -> bool:
        return len(bench.post.nonces) >= count and not await bench.store.due_deliveries()

    await until(noted)


async def test_the_courier_may_ask_for_time_and_keeps_its_nonce(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, post=Postman(answers=[TryLater(7.0)])) as bench:
        job = await bench.jobs.submit(asked())
        await failed_tries(bench, 1)
        assert await bench.store.next_delivery_ms() == clock.now_ms() + 7000
        clock.advance(7)
        bench.wake()
        await bench.idle()
        assert bench.post.sent == [(job.id, "result", 4)]
        assert len(set(bench.post.nonces)) == 1


async def test_pauses_double_up_to_five_minutes_and_end_after_so_many_tries(tmp_path: Path, clock: ManualClock) -> None:
    post = Postman(answers=[RuntimeError("Discord is down")] * 1000)
    async with workbench(tmp_path, clock, post=post) as bench:
        job = await bench.jobs.submit(asked())
        pauses = []
        for tries in range(1, 12):
            await failed_tries(bench, tries)
            due_ms = await bench.store.next_delivery_ms()
            assert due_ms is not None
            pauses.append((due_ms - clock.now_ms()) // 1000)
            clock.advance(pauses[-1])
            bench.wake()
        assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
        await failed_tries(bench, 12)
        clock.advance(30 * 86_400)  # a clock that jumps gives nothing up
        bench.wake()
        await failed_tries(bench, 13)
        assert (await bench.store.job(job.id)).state == "rendered"
        await bench.store.write(lambda db: db.execute("UPDATE delivery SET attempts = ?", (MOST_TRIES,)))
        clock.advance(300)
        bench.wake()
        await bench.idle()
        assert (await bench.store.job(job.id)).error_code == "undeliverable"


async def test_an_undeliverable_result_is_given_back(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, post=Postman(answers=[Undeliverable("channel gone")])) as bench:
        job = await bench.jobs.submit(asked())
        await bench.idle()
        assert (await bench.store.history(10, 1))[0].error_code == "undeliverable"
        assert len(await bench.store.images(job.id)) == 4
        assert (await bench.balance(10, 1)).free_mc == 100_000


async def test_a_pause_that_discord_asks_for_is_at_most_five_minutes(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, post=Postman(answers=[TryLater(86_400.0)])) as bench:
        await bench.jobs.submit(asked())
        await failed_tries(bench, 1)
        assert await bench.store.next_delivery_ms() == clock.now_ms() + 300_000


async def test_a_refused_token_ends_nothing_that_is_owed(tmp_path: Path, clock: ManualClock) -> None:
    post, refusals = Postman(answers=[TokenRefused()] * 1000), []
    async with workbench(tmp_path, clock, post=post) as bench:
        bench.outbox.on_refused = lambda: refusals.append(len(post.nonces))
        jobs = [await bench.jobs.submit(asked(user_id=user)) for user in range(1, 4)]

        async def all_painted() -> bool:
            return bool(refusals) and not bench.dispatcher.running and not await bench.store.active(3, 1)

        await until(all_painted)
        await bench.outbox.stop(5.0)
        assert refusals == [1], "told once, and nothing more was tried"
        assert [(await bench.store.job(job.id)).state for job in jobs] == ["rendered"] * 3
    async with workbench(tmp_path, clock) as bench:
        await bench.idle()
        assert sorted(bench.post.sent) == [(job.id, "result", 4) for job in jobs]


async def test_what_is_owed_survives_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, post=Postman(answers=[TryLater(1.0)])) as bench:
        job = await bench.jobs.submit(asked())
        await failed_tries(bench, 1)
        nonces = bench.post.nonces
    clock.advance(1)
    async with workbench(tmp_path, clock) as bench:
        await bench.idle()
        assert bench.post.sent == [(job.id, "result", 4)]
        assert bench.post.nonces == nonces


async def test_stopping_delivers_what_is_due_first(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, start=False) as bench:
        jobs = [await bench.jobs.submit(asked()) for _ in range(5)]
        for job in jobs:
            await bench.jobs.cancel(job.id, by=10)
        await bench.outbox.start()
        await bench.outbox.stop(5.0)
        assert sorted(bench.post.sent) == [(job.id, "cancelled", 0) for job in jobs]


async def test_what_is_delivered_while_the_outbox_looks_is_not_delivered_again(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workbench(tmp_path, clock) as bench:
        look = bench.store.due_deliveries

        async def late_answer(limit: int = 20) -> list[OutboxEntry]:
            owed = await look(limit)
            await asyncio.sleep(0.02)  # long enough for what is under way to end
            return owed

        monkeypatch.setattr(bench.store, "due_deliveries", late_answer)
        for user in range(1, 21):
            await bench.jobs.submit(asked(user_id=user, num_images=1))
        await bench.idle()
        assert len(bench.post.sent) == 20
