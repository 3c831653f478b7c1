"""Threads for work that blocks: limits, work that hangs, and what else must go on meanwhile."""

from __future__ import annotations

import ast
import asyncio
import contextvars
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.errors import Busy
from bot.loops import LOOK_S
from bot.threads.pools import POOLS, Pool

ROOT = Path(__file__).parents[2]
BY_ITSELF = {  # where nobody waits for the rest
    "bot/store/store.py",  # before anything runs
    "bot/demo/serve.py",  # the browser
    "bot/features/operations/watch.py",  # asks how asyncio's own threads are
}


class Gate:
    """Work that blocks until it's let through."""

    def __init__(self) -> None:
        self.open, self.entered = threading.Event(), threading.Semaphore(0)

    def wait(self) -> str:
        self.entered.release()
        assert self.open.wait(20)
        return "through"


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def small() -> Pool:
    return Pool("small", 2, most=3, longest_s=2 * LOOK_S, full="Too much.")


async def entered(gate: Gate, count: int) -> None:
    for _ in range(count):
        assert await asyncio.to_thread(gate.entered.acquire, timeout=20)


async def test_so_much_may_wait_and_no_more(gate: Gate) -> None:
    pool = small()
    working = [asyncio.create_task(pool.run(gate.wait)) for _ in range(2)]
    await entered(gate, 2)
    waiting = [asyncio.create_task(pool.run(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    assert (pool.busy, pool.waiting) == (2, 3)
    assert pool.look() == "3 pieces of work wait, and no more may."
    with pytest.raises(Busy, match=r"Too much\. Try again in a minute; nothing was charged\."):
        await pool.run(gate.wait)
    must = asyncio.create_task(pool.run_always(gate.wait))
    gate.open.set()
    assert await asyncio.gather(*working, *waiting, must) == ["through"] * 6
    assert (pool.busy, pool.waiting, pool.look()) == (0, 0, "")


async def test_what_waits_and_is_called_off_is_never_begun(gate: Gate) -> None:
    pool = small()
    working = [asyncio.create_task(pool.run(gate.wait)) for _ in range(2)]
    await entered(gate, 2)
    called_off = asyncio.create_task(pool.run(gate.wait))
    await asyncio.sleep(0)
    called_off.cancel()
    with pytest.raises(asyncio.CancelledError):
        await called_off
    assert pool.waiting == 0
    gate.open.set()
    await asyncio.gather(*working)
    assert not gate.entered.acquire(blocking=False)


async def test_threads_that_hang_are_replaced_and_what_waited_for_them_is_done(gate: Gate) -> None:
    pool = small()
    hanging = [asyncio.create_task(pool.run(gate.wait)) for _ in range(2)]
    await entered(gate, 2)
    waiting = asyncio.create_task(pool.run(lambda: "done"))
    await asyncio.sleep(0)
    assert [pool.look() for _ in range(3)] == ["", "", "2 threads hang."]
    assert await asyncio.wait_for(waiting, 20) == "done"
    for task in hanging:
        with pytest.raises(TimeoutError, match="small: no answer within 30 s"):
            await task
    assert await pool.run(lambda: "done") == "done"
    assert pool.look() == "2 threads hang.", "they are still there, and told"
    gate.open.set()
    async with asyncio.timeout(20):
        while pool.busy:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert pool.look() == ""


async def test_a_pool_whose_threads_are_gone_gets_new_ones() -> None:
    pool = small()
    pool._executor.shutdown()
    assert await pool.run(lambda: "done") == "done"


async def test_what_the_work_raises_and_its_context_are_the_callers() -> None:
    told = contextvars.ContextVar("told", default="nothing")
    told.set("something")
    assert await small().run(told.get) == "something"
    with pytest.raises(ZeroDivisionError):
        await small().run(lambda: 1 // 0)


async def test_a_pool_that_is_used_up_keeps_no_other_waiting(gate: Gate) -> None:
    first, *others = POOLS
    blocked = [asyncio.create_task(first.run_always(gate.wait)) for _ in range(first.threads + 5)]
    await entered(gate, first.threads)
    for pool in others:
        assert await asyncio.wait_for(pool.run(str), 20) == ""
    assert await asyncio.wait_for(asyncio.to_thread(str), 20) == "", "nor the network, which looks up addresses there"
    gate.open.set()
    await asyncio.gather(*blocked)


def test_what_blocks_goes_to_a_pool() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "bot").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("to_thread", "run_in_executor")
    }
    assert found == BY_ITSELF
