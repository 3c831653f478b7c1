"""One pays for delivered pictures: whatever happens on the way, the net charge is their number times their price.

But who ends a job that is being painted pays for the steps that were.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from workbench import Postman, Workbench, asked, until, workbench

from bot.jobs.outbox import TryLater, Undeliverable
from bot.jobs.records import Job
from bot.store.clock import ManualClock
from engine.api.errors import OutOfMemory
from engine.api.safety import Verdict
from engine.fake import FakeEngine
from engine.fake import paint as painted

PICTURE_MC = 1000
GRID_MC = 4 * PICTURE_MC
ALLOWANCE_MC = 100_000
Step = Callable[[Workbench, Job, ManualClock], Awaitable[None]]


async def nothing(bench: Workbench, job: Job, clock: ManualClock) -> None:
    """Let it run."""


async def cancelled_while_queued(bench: Workbench, job: Job, clock: ManualClock) -> None:
    await bench.jobs.cancel(job.id, by=10)


async def cancelled_while_running(bench: Workbench, job: Job, clock: ManualClock) -> None:
    await bench.heard("ImageReady")
    await bench.jobs.cancel(job.id, by=10)


async def deleted_while_running(bench: Workbench, job: Job, clock: ManualClock) -> None:
    await bench.heard("ImageReady")
    await bench.jobs.delete(job.id, by=10)


async def crashed_once(bench: Workbench, job: Job, clock: ManualClock) -> None:
    await bench.store.claim("the dead", 5)


async def crashed_three_times(bench: Workbench, job: Job, clock: ManualClock) -> None:
    for start in range(3):
        await bench.store.claim(f"the dead {start}", 5)
        await bench.store.recover(f"the dead {start + 1}")


async def lost_three_times(bench: Workbench, job: Job, clock: ManualClock) -> None:
    for pause_s, attempts in ((5, 1), (30, 2)):
        await bench.waits(job.id, attempts)
        clock.advance(pause_s)
        bench.wake()


async def delivered_late(bench: Workbench, job: Job, clock: ManualClock) -> None:
    async def tried() -> bool:
        return bool(bench.post.nonces) and not await bench.store.due_deliveries()

    await until(tried)
    clock.advance(7)
    bench.wake()


def second_withheld(image: Image.Image) -> Verdict:
    return Verdict(flagged=image.convert("RGB").tobytes() == painted(8, 64, 64).convert("RGB").tobytes())


@dataclass(frozen=True)
class Way:
    """One way a job of four pictures may go, and how many of them its person gets.

    `painting`: its person ends it while it is painted, and pays for what was.
    """

    delivered: int
    step: Step = nothing
    prompt: str = "a red boat"
    engine: Callable[[], FakeEngine] = FakeEngine
    answers: tuple[Exception, ...] = ()
    lost: int = 0
    painting: bool = False
    start: bool = True
    settings: dict[str, Any] = field(default_factory=dict)


WAYS = {
    "delivered": Way(4),
    "partly delivered": Way(3, prompt="!fail"),
    "out of memory": Way(0, engine=lambda: FakeEngine(fail=lambda _: OutOfMemory()), settings={"num_images": 1}),
    "out of memory at the last picture": Way(3, engine=lambda: FakeEngine(fail=lambda _: OutOfMemory())),
    "flagged, all of it": Way(0, prompt="!flag"),
    "flagged, one of it": Way(3, engine=lambda: FakeEngine(gate=second_withheld)),
    "a model that is gone": Way(0, settings={"model": "nowhere"}),
    "the device lost again and again": Way(0, lost_three_times, "!lost", settings={"num_images": 1}),
    "cancelled while queued": Way(0, cancelled_while_queued, start=False),
    "cancelled while running": Way(0, cancelled_while_running, painting=True, engine=lambda: FakeEngine(step_s=0.005)),
    "deleted while running": Way(0, deleted_while_running, painting=True, engine=lambda: FakeEngine(step_s=0.005)),
    "crashed once": Way(4, crashed_once, start=False),
    "crashed three times": Way(0, crashed_three_times, start=False),
    "undeliverable": Way(0, answers=(Undeliverable("channel gone"),)),
    "undeliverable in part": Way(0, prompt="!fail", answers=(Undeliverable("channel gone"),)),
    "one file lost": Way(3, lost=1),
    "one file lost of what was painted": Way(2, prompt="!fail", lost=1),
    "all files lost": Way(0, lost=4),
    "delivered late": Way(4, delivered_late, answers=(TryLater(7.0),)),
}


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("price_mc", [GRID_MC, 4003])
async def test_the_net_charge_is_what_was_delivered(tmp_path: Path, name: str, price_mc: int) -> None:
    way, clock = WAYS[name], ManualClock()
    pictures = way.settings.get("num_images", 4)
    engine, post = way.engine(), Postman(answers=list(way.answers), lost=way.lost)
    async with workbench(tmp_path, clock, engine=engine, post=post, start=False) as bench:
        job = await bench.jobs.submit(asked(way.prompt, price_mc=price_mc, **way.settings))
        if not way.start:
            await way.step(bench, job, clock)
        await bench.dispatcher.start()
        await bench.outbox.start()
        if way.start:
            await way.step(bench, job, clock)
        await bench.idle()
        await bench.nothing_runs()
        seen = sum(images for _, kind, images in post.sent if kind == "result")
        assert seen == way.delivered
        balance = await bench.balance(10, 1)
        charged_mc = ALLOWANCE_MC - balance.free_mc
        if way.painting:
            assert 0 < charged_mc < price_mc, "the steps that were painted"
        else:
            assert charged_mc == price_mc * way.delivered // pictures
        assert (balance.paid_mc, balance.reserved_mc) == (0, 0)


@pytest.mark.parametrize("name", ["delivered", "partly delivered", "undeliverable", "cancelled while running"])
async def test_the_relax_lane_charges_nothing_whatever_happens(tmp_path: Path, name: str) -> None:
    way, clock = WAYS[name], ManualClock()
    post, none = Postman(answers=list(way.answers)), {"credits_a_day": 0, "relax": True}
    async with workbench(tmp_path, clock, engine=way.engine(), post=post, **none) as bench:
        await bench.store.give_credits(10, 1, 3999, "granted", "one")
        job = await bench.jobs.submit(asked(way.prompt))
        assert (job.lane, job.price_mc) == ("relax", 0)
        await way.step(bench, job, clock)
        await bench.idle()
        assert (await bench.balance(10, 1)).paid_mc == 3999
