"""Fleets of fake engines in real processes, and what tests ask of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from engine.api.events import Event, ImageReady
from engine.backend import Ticket
from engine.fake import FakeEngine, paint
from engine.fleet.fleet import Fleet
from engine.fleet.members import Member
from engine.fleet.process import WorkerSpec
from engine.tasks.txt2img import Txt2Img
from engine.wire.messages import Setup


def fake_specs(count: int, **options: Any) -> list[WorkerSpec]:
    setup = Setup(engine="fake", options=options)
    return [WorkerSpec(name=f"fake-{number}", setup=setup) for number in range(1, count + 1)]


async def until(check: Callable[[], bool], limit_s: float = 30.0) -> None:
    async with asyncio.timeout(limit_s):
        while not check():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def threads_of(count: int, **options: Any) -> AsyncIterator[Fleet]:
    """Fake engines of this very process: what a fleet decides is the same, and they are there at once."""
    members = [Member(f"fake-{number}", FakeEngine(**options)) for number in range(1, count + 1)]
    async with Fleet(members=members) as fleet:
        yield fleet


@asynccontextmanager
async def fleet_of(count: int, **options: Any) -> AsyncIterator[Fleet]:
    """Fake engines, each in a process of its own, all of them up."""
    async with Fleet(fake_specs(count, **options), catalogue=FakeEngine()) as fleet:
        await until(lambda: all(member.backend is not None for member in fleet.members))
        yield fleet


def asked(seed: int = 7, **changes: Any) -> Txt2Img:
    return Txt2Img(prompt="a red boat", width=64, height=64, num_inference_steps=4, seed=seed, **changes)


async def events_of(ticket: Ticket) -> list[Event]:
    return [event async for event in ticket]


def check_painted(events: list[Event], seed: int, count: int) -> None:
    """Each picture came once, and is the seed's."""
    ready = [event for event in events if isinstance(event, ImageReady)]
    assert sorted(event.index for event in ready) == list(range(count))
    for event in ready:
        assert event.image.tobytes() == paint(seed + event.index, 64, 64).tobytes()
