"""Loops outlive what goes wrong in them, and come back when they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot import loops
from bot.loops import LOOK_S, Loop, Watchdog


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "FIRST_PAUSE_S", 0.001)


class Work:
    """Turns that go on until `hang` is set; `fails` of them fail first."""

    def __init__(self, fails: int = 0) -> None:
        self.done, self.fails, self.hang = 0, fails, False
        self.stuck = asyncio.Event()

    async def turn(self) -> None:
        await asyncio.sleep(0)
        if self.fails:
            self.fails -= 1
            raise ValueError("a bug")
        if self.hang:
            self.stuck.set()
            await asyncio.Event().wait()
        self.done += 1


@pytest.fixture
async def work() -> AsyncIterator[tuple[Work, Loop]]:
    work = Work(fails=3)
    loop = Loop("work", work.turn, longest_s=3 * LOOK_S)
    loop.start()
    yield work, loop
    await loop.stop()


async def turns(work: Work, count: int) -> None:
    async with asyncio.timeout(5):
        while work.done < count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_turn_that_fails_does_not_end_the_loop(work: tuple[Work, Loop]) -> None:
    await turns(work[0], 5)
    assert work[1].running


async def test_a_loop_that_ended_is_started_again(work: tuple[Work, Loop]) -> None:
    what, loop = work
    watchdog = Watchdog([loop])
    await turns(what, 1)
    assert await watchdog.look() == []
    assert loop._task is not None
    loop._task.cancel()  # as nobody should
    await asyncio.wait([loop._task])
    assert not loop.running
    assert await watchdog.look() == ["work"]
    await turns(what, what.done + 1)


async def test_a_loop_that_hangs_is_started_again_after_a_while(work: tuple[Work, Loop]) -> None:
    what, loop = work
    watchdog = Watchdog([loop])
    what.hang = True
    await asyncio.wait_for(what.stuck.wait(), 5)
    found = [await watchdog.look() for _ in range(4)]
    assert found == [[], [], [], ["work"]]
    what.hang = False
    await turns(what, what.done + 1)


async def test_a_loop_that_was_stopped_stays_so(work: tuple[Work, Loop]) -> None:
    await work[1].stop()
    assert await Watchdog([work[1]]).look() == []
    assert not work[1].running
