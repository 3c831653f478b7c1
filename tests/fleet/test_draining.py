"""Workers that are to have no more jobs: nothing is lost, nothing is painted twice, and they come back."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fakes import asked, check_painted, events_of, fleet_of, threads_of, until
from machines import bot

from engine.api.events import Finished, Progress, Started
from engine.fake import FakeEngine
from engine.fleet.fleet import Fleet
from engine.fleet.machines.dialing import join


def begun_on(fleet: Fleet, name: str) -> int:
    return sum(job.started is not None for job in fleet.member(name).held.values())


async def test_a_drained_worker_finishes_what_it_has_begun_and_gets_no_more() -> None:
    async with threads_of(2, step_s=0.02) as fleet:
        tickets = [fleet.submit(asked(seed, num_images=2), user=str(seed)) for seed in range(0, 80, 10)]
        await until(lambda: begun_on(fleet, "fake-1") == begun_on(fleet, "fake-2") == 1)
        fleet.drain(["fake-1"])
        done = fleet.member("fake-1").done
        for number, ticket in enumerate(tickets):
            events = await events_of(ticket)
            check_painted(events, 10 * number, 2)
            assert isinstance(events[-1], Finished)
            assert sum(isinstance(event, Started) for event in events) == 1
            steps = [event.step for event in events if isinstance(event, Progress)]
            assert steps == sorted(steps)  # nothing was begun twice
        assert fleet.member("fake-1").done == done + 1
        assert [worker.drained for worker in fleet.status().workers] == [True, False]
        fleet.drain([])
        first, second = [fleet.submit(asked(seed), user=str(seed)) for seed in (1, 2)]
        await until(lambda: begun_on(fleet, "fake-1") == 1)
        await asyncio.gather(first.result(), second.result())


async def test_jobs_wait_while_all_are_drained() -> None:
    async with threads_of(1) as fleet:
        fleet.drain(["fake-1"])
        ticket = fleet.submit(asked(3))
        await asyncio.sleep(0.1)
        assert fleet.status().queued == 1
        fleet.drain([])
        check_painted(await events_of(ticket), 3, 1)


async def test_the_process_of_a_drained_worker_ends_and_is_started_again() -> None:
    async with fleet_of(2, step_s=0.02) as fleet:
        painting = fleet.submit(asked(3, num_images=2))
        await until(lambda: any(begun_on(fleet, member.name) for member in fleet.members))
        name = next(member.name for member in fleet.members if member.held)
        worker = next(each for each in fleet.processes if each.spec.name == name)
        before = worker.pid
        fleet.drain([name])
        check_painted(await events_of(painting), 3, 2)
        await until(lambda: fleet.member(name).backend is None)
        status = next(each for each in fleet.status().workers if each.name == name)
        assert (status.problem, status.ends, status.drained) == ("it was drained", 0, True)
        check_painted(await events_of(fleet.submit(asked(5))), 5, 1)
        assert fleet.member(name).backend is None
        fleet.drain([])
        await until(lambda: fleet.member(name).backend is not None)
        assert worker.pid != before


async def test_a_worker_that_leaves_finishes_what_it_has_begun(tmp_path: Path) -> None:
    """Its own machine restarts it: others take what it hasn't begun, and it goes once it's done."""
    leaving = asyncio.Event()
    async with bot(tmp_path) as there, FakeEngine(step_s=0.05) as first, FakeEngine() as second:
        joining = asyncio.create_task(join(there.address, there.tokens.make("garage"), first, leaving, grace_s=30))
        await until(lambda: len(there.fleet.members) == 1)
        tickets = [there.fleet.submit(asked(seed), user=str(seed)) for seed in (10, 20, 30)]
        await until(lambda: begun_on(there.fleet, "garage") == 1)
        leaving.set()
        await until(lambda: there.fleet.status().workers[0].drained)
        staying = asyncio.create_task(join(there.address, there.tokens.make("attic"), second))
        for ticket, seed in zip(tickets, (10, 20, 30), strict=True):
            events = await events_of(ticket)
            check_painted(events, seed, 1)
            steps = [event.step for event in events if isinstance(event, Progress)]
            assert steps == sorted(steps)
        await asyncio.wait_for(joining, 10)
        await until(lambda: [member.name for member in there.fleet.members] == ["attic"])
        assert there.fleet.member("attic").done == 2
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)


async def test_a_drained_name_that_dials_in_gets_no_jobs(tmp_path: Path) -> None:
    async with bot(tmp_path) as there, FakeEngine() as engine:
        there.fleet.drain(["garage"])
        joining = asyncio.create_task(join(there.address, there.tokens.make("garage"), engine))
        await until(lambda: bool(there.fleet.members))
        ticket = there.fleet.submit(asked(3))
        await asyncio.sleep(0.1)
        assert there.fleet.status().queued == 1
        there.fleet.drain([])
        check_painted(await events_of(ticket), 3, 1)
        joining.cancel()
        await asyncio.gather(joining, return_exceptions=True)
