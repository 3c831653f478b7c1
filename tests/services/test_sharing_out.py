"""A job's pictures over several workers that have nothing else to do: the same pictures and recipes, in less time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bot.jobs import fanout
from engine.api.events import Cancelled, Event, Finished, ImageReady, Progress, Started
from engine.backend import Backend, Ticket, WorkerStatus
from engine.fake import FakeEngine
from engine.tasks.txt2img import Txt2Img, Variation
from tests.fleet.fakes import asked, events_of, threads_of, until

SHARE: dict[str, Any] = {"user": "1", "weight": 1.0, "lane": "fast", "adults": False}
GRID = asked(5, num_images=4, model="mini")


def submitted(backend: Backend, request: Txt2Img) -> Ticket:
    return fanout.submit(backend, [request], **SHARE)


def painted(events: list[Event]) -> dict[int, tuple[Any, ...]]:
    ready = [event for event in events if isinstance(event, ImageReady)]
    return {each.index: (each.seed, each.image.tobytes(), each.recipe) for each in ready}


@pytest.mark.parametrize(
    "request_",
    [GRID, replace(GRID, variations=(Variation(seed=3, strength=0.2), Variation(seed=2**32 - 2, strength=0.5)))],
    ids=["seeds", "variations"],
)
async def test_idle_workers_share_a_jobs_pictures(request_: Txt2Img) -> None:
    async with threads_of(2) as fleet, FakeEngine() as one:
        events = await events_of(submitted(fleet, request_))
        assert painted(events) == painted(await events_of(one.submit(request_)))
        assert sorted(member.done for member in fleet.members) == [2, 2]
        assert sum(isinstance(event, Started) for event in events) == 1
        assert isinstance(events[-1], Finished)
        assert [event for event in events if isinstance(event, Progress)][-1] == Progress(step=16, steps=16)


async def test_cancelling_reaches_every_part() -> None:
    async with threads_of(2, step_s=0.05) as fleet:
        ticket = submitted(fleet, GRID)
        await until(lambda: sum(job.started is not None for job in fleet.jobs.values()) == 2)
        ticket.cancel()
        assert isinstance((await events_of(ticket))[-1], Cancelled)
        assert not fleet.jobs


async def test_a_busy_fleet_keeps_a_job_whole() -> None:
    async with threads_of(2, step_s=0.02) as fleet:
        first = fleet.submit(asked(50))
        await until(lambda: any(member.held for member in fleet.members))
        second = asyncio.create_task(events_of(submitted(fleet, GRID)))
        await until(lambda: len(fleet.jobs) > 1)
        assert len(fleet.jobs) == 2
        await first.result()
        assert len(painted(await second)) == 4


@pytest.mark.parametrize(
    ("changes", "shares"),
    [
        ({}, True),
        ({"num_images": 1}, False),
        ({"best_of": 6}, False),
        ({"together": True}, False),
        ({"seed": None}, False),
        ({"model": None}, False),
        ({"model": "flux"}, False),
    ],
)
def test_what_belongs_together_stays_together(changes: dict[str, Any], shares: bool) -> None:
    idle = WorkerStatus(name="a", loaded=("mini",))
    request = replace(GRID, **changes)
    assert fanout.shares_out(request, [idle, replace(idle, name="b")]) is shares
    for other in ({"running": 1}, {"queued": 1}, {"up": False}, {"drained": True}, {"loaded": ()}):
        assert not fanout.shares_out(request, [idle, replace(idle, name="b", **other)])  # type: ignore[arg-type]
    assert not fanout.shares_out(request, [idle])
    assert not fanout.shares_out(request, ())
