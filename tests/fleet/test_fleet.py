"""Several engines as one, on real processes with fake engines: routing, retries, cancelling, questions, ends."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import asked, check_painted, events_of, fake_specs, fleet_of, threads_of, until
from PIL import Image

from engine.api.errors import EngineClosed, EngineFault, GivenUp, InvalidRequest, RenderFailed, UnknownModel
from engine.api.events import Cancelled, Failed, Finished, Preview, Progress, Queued, Started, Terminal
from engine.api.inspection import Forwards, Inspection, LoadedModel
from engine.api.safety import Verdict
from engine.backend import STANDS_S
from engine.fake import FAIL_WORD, FLAG_COLOUR, FakeEngine, shape_of
from engine.fleet import process, remote_engine
from engine.fleet.fleet import Fleet
from engine.fleet.members import Member
from engine.fleet.remote_engine import RemoteEngine
from engine.fleet.serving import Serving
from engine.tasks.img2img import Img2Img
from engine.wire.links import Link, SocketWire


def pid_of(fleet: Fleet, name: str) -> int:
    pid = next(each.pid for each in fleet.processes if each.spec.name == name)
    assert pid is not None
    return pid


def running_on(fleet: Fleet) -> list[str]:
    return [member.name for member in fleet.members for job in member.held.values() if job.started is not None]


async def test_two_workers_paint_at_once_and_tell_what_one_engine_tells() -> None:
    async with fleet_of(2, step_s=0.05) as fleet:
        tickets = [fleet.submit(asked(seed, num_images=2), user=str(seed)) for seed in (10, 20, 30, 40)]
        await until(lambda: len(set(running_on(fleet))) == 2)
        status = fleet.status()
        assert (status.running, status.queued, status.device) == (2, 2, "cpu")
        assert [worker.running for worker in status.workers] == [1, 1]
        for ticket, seed in zip(tickets, (10, 20, 30, 40), strict=True):
            events = await events_of(ticket)
            check_painted(events, seed, 2)
            assert isinstance(events[0], Queued)
            assert [type(event) for event in events if isinstance(event, (Started, *Terminal))] == [Started, Finished]
            assert any(isinstance(event, Preview) for event in events)
            assert [e for e in events if isinstance(e, Progress)][-1] == Progress(step=8, steps=8)
        assert sum(worker.done for worker in fleet.status().workers) == 4


async def test_a_fleet_paints_what_one_engine_paints() -> None:
    """Also from a picture, which travels once however many jobs name it."""
    source = Image.effect_mandelbrot((80, 60), (-2, -1, 1, 1), 50).convert("RGB")
    wanted = [Img2Img(prompt="x", init_image=source, strength=0.5, seed=seed) for seed in range(4)]
    async with FakeEngine() as alone:
        images = [(await alone.submit(request).result())[0].tobytes() for request in wanted]
    async with threads_of(2) as fleet:
        tickets = [fleet.submit(request) for request in wanted]
        assert [(await ticket.result())[0].tobytes() for ticket in tickets] == images


async def test_a_job_whose_worker_is_killed_is_painted_elsewhere_once() -> None:
    async with fleet_of(2, step_s=0.05) as fleet:
        ticket = fleet.submit(asked(3, num_images=4))
        await until(lambda: bool(running_on(fleet)))
        victim = running_on(fleet)[0]
        await asyncio.sleep(0.3)  # a picture or two are there by now
        os.kill(pid_of(fleet, victim), signal.SIGKILL)
        events = await events_of(ticket)
        check_painted(events, 3, 4)
        assert isinstance(events[-1], Finished)
        assert sum(isinstance(event, Started) for event in events) == 1
        await until(lambda: all(member.backend is not None for member in fleet.members))
        assert fleet.member(victim).ends == 1


async def test_a_worker_that_hangs_is_noticed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.fleet.remote_engine.SILENCE_S", 4.0)  # a busy machine keeps the next one silent, too
    async with fleet_of(1, step_s=0.05) as fleet:
        ticket = fleet.submit(asked(3))
        await until(lambda: bool(running_on(fleet)))
        os.kill(pid_of(fleet, "fake-1"), signal.SIGSTOP)
        async with asyncio.timeout(remote_engine.STARTING_S / 2):  # though it has only just begun
            check_painted(await events_of(ticket), 3, 1)
        assert "said nothing" in fleet.member("fake-1").problem or fleet.member("fake-1").ends == 1


async def test_a_worker_whose_engine_makes_no_step_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process still says how it is, so nothing but the steps tells that it hangs."""
    monkeypatch.setitem(STANDS_S, "cpu", 0.5)
    async with fleet_of(1, step_s=1000.0) as fleet:
        fleet.submit(asked(3))
        await until(lambda: fleet.member("fake-1").ends == 1)
        assert "stood still" in fleet.member("fake-1").problem


@pytest.mark.parametrize("by", [signal.SIGSEGV, signal.SIGKILL])
async def test_a_job_that_ends_each_worker_it_runs_on_is_given_up_and_others_are_not(
    by: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It crashes them, or takes so much memory that the system kills them."""
    counts, vmstat = itertools.count(1), tmp_path / "vmstat"
    vmstat.write_text("oom_kill 0")
    monkeypatch.setattr(process, "VMSTAT", vmstat)
    async with fleet_of(2, step_s=0.02) as fleet:
        others = [fleet.submit(asked(seed)) for seed in range(3)]
        killer = fleet.submit(asked(99, num_images=4))
        number = max(fleet.jobs)

        async def strike() -> None:
            while number in fleet.jobs:
                holder = fleet.jobs[number].holder
                if holder is not None and fleet.jobs[number].started is not None:
                    vmstat.write_text(f"nr_free_pages 7\noom_kill {next(counts)}\n")
                    os.kill(pid_of(fleet, holder.name), by)
                    await until(lambda member=holder: member.backend is None)  # type: ignore[misc]
                await asyncio.sleep(0.005)

        striking = asyncio.create_task(strike())
        events = await events_of(killer)
        await striking
        assert isinstance(events[-1], Failed)
        assert isinstance(events[-1].error, GivenUp)
        assert 2 <= sum(member.ends for member in fleet.members) <= 3
        for seed, ticket in enumerate(others):
            check_painted(await events_of(ticket), seed, 1)


async def test_cancelling_reaches_a_job_wherever_it_is() -> None:
    async with threads_of(2, step_s=0.05) as fleet:
        tickets = [fleet.submit(asked(seed, num_images=4)) for seed in range(8)]
        await until(lambda: len(set(running_on(fleet))) == 2)
        for ticket in tickets:
            ticket.cancel()
        for ticket in tickets:
            assert isinstance((await events_of(ticket))[-1], Cancelled)
        check_painted(await events_of(fleet.submit(asked(5))), 5, 1)
        assert [len(member.held) for member in fleet.members] == [0, 0]


async def test_a_worker_with_nothing_to_do_takes_over_what_waits_at_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.fleet.members.LOAD_S", 0.0)
    monkeypatch.setattr("engine.fleet.routing.WORTH_MOVING_S", 0.05)
    async with threads_of(2, step_s=0.05) as fleet:
        idle = fleet.member("fake-2")
        idle.drained = True
        tickets = [fleet.submit(asked(seed)) for seed in range(4)]
        await until(lambda: len(fleet.member("fake-1").held) == 4)
        idle.drained = False
        fleet.soon()
        for seed, ticket in enumerate(tickets):
            check_painted(await events_of(ticket), seed, 1)
        assert idle.done > 0


class Otherwise(FakeEngine):
    """Has other weights by the same name."""

    async def _image(self, job: Any, index: int) -> Any:
        ready = await super()._image(job, index)
        return ready and replace(ready, recipe=replace(ready.recipe, model_sha256="f" * 64))


async def test_workers_with_different_weights_by_one_name_are_told(caplog: pytest.LogCaptureFixture) -> None:
    for second, told in ((FakeEngine(step_s=0.01), 0), (Otherwise(step_s=0.01), 1)):
        caplog.clear()
        async with Fleet(members=[Member("attic", FakeEngine(step_s=0.01)), Member("garage", second)]) as fleet:
            await asyncio.gather(*(fleet.submit(asked(seed), user=str(seed)).result() for seed in range(6)))
            assert all(member.done > 1 for member in fleet.members)
        said = [record.getMessage() for record in caplog.records if "different weights" in record.getMessage()]
        assert len(said) == told
        assert all("attic" in each and "garage" in each and "mini" in each for each in said)


async def test_refusals_are_those_of_one_engine() -> None:
    async with threads_of(1) as fleet:
        with pytest.raises(UnknownModel):
            fleet.submit(asked(model="none"))
        with pytest.raises(InvalidRequest):
            fleet.submit(asked(), lane="slow")
        failed = fleet.submit(asked().__class__(prompt=FAIL_WORD, width=64, height=64))
        with pytest.raises(RenderFailed, match="the prompt asked for it"):
            await failed.result()


async def test_jobs_wait_for_a_worker_and_questions_are_answered_by_it() -> None:
    picture = Image.new("RGB", (32, 32), "white")
    picture.paste("red", (8, 8, 24, 24))
    async with FakeEngine() as alone, Fleet(fake_specs(1), catalogue=FakeEngine()) as fleet:
        assert [info.key for info in fleet.models()] == ["mini"]
        check_painted(await events_of(fleet.submit(asked(4))), 4, 1)
        assert await fleet.describe(picture) == await alone.describe(picture)
        assert await fleet.weigh("a longer word", "mini") == await alone.weigh("a longer word", "mini")
        assert await fleet.rewrite("a boat", "expand") == await alone.rewrite("a boat", "expand")
        assert (await fleet.segment(picture, "it")).tobytes() == shape_of(picture).tobytes()
        assert await fleet.check(picture) == Verdict()
        assert (await fleet.check(Image.new("RGB", (4, 4), FLAG_COLOUR))).flagged
        with pytest.raises(InvalidRequest):
            await fleet.segment(Image.new("RGB", (32, 32)), "it")


async def test_a_gate_of_ones_own_is_asked_in_the_bot() -> None:
    def gate(image: Image.Image) -> Verdict:
        return Verdict(flagged=True, reason="mine")

    async with Fleet(members=[Member("fake", FakeEngine())], gate=gate) as fleet:
        assert (await fleet.check(Image.new("RGB", (4, 4)))).reason == "mine"
        events = await events_of(fleet.submit(asked()))
        assert {getattr(event, "flagged", True) for event in events} == {True}


async def test_closing_ends_every_job_and_every_process() -> None:
    async with fleet_of(2, step_s=0.05) as fleet:
        tickets = [fleet.submit(asked(seed, num_images=4)) for seed in range(6)]
        await until(lambda: len(set(running_on(fleet))) == 2)
        pids = [pid_of(fleet, member.name) for member in fleet.members]
        await fleet.close()
        for ticket in tickets:
            end = (await events_of(ticket))[-1]
            assert isinstance(end, Failed)
            assert isinstance(end.error, EngineClosed)
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


async def test_closing_with_grace_lets_what_runs_finish() -> None:
    async with threads_of(1, step_s=0.05) as fleet:
        running, waiting = fleet.submit(asked(1)), fleet.submit(asked(2, num_images=4))
        await until(lambda: bool(running_on(fleet)))
        await fleet.close(grace_s=10.0)
        check_painted(await events_of(running), 1, 1)
        assert isinstance((await events_of(waiting))[-1], Finished | Failed)


async def test_workers_that_can_never_paint_are_told_and_end_nothing_else() -> None:
    async with Fleet(fake_specs(1, nonsense=1), catalogue=FakeEngine()) as fleet:
        await until(lambda: fleet.member("fake-1").ends > 0)
        told = fleet.status().workers[0]
        assert not told.up
        assert "exit code 1" in told.problem


async def test_its_inside_is_that_of_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def inside(engine: FakeEngine) -> Inspection:
        model = LoadedModel(key="mini", weights_bytes=9, images=1, adapters={}, variants=())
        return Inspection(models=(model,), forwards={"denoise": Forwards(count=2, rows=5, most_rows=3, most_joined=2)})

    monkeypatch.setattr(FakeEngine, "inspect", inside, raising=False)
    async with threads_of(2) as fleet:
        told = await fleet.inspect()
        assert set(told.workers) == {"fake-1", "fake-2"}
        assert [model.key for model in told.models] == ["mini", "mini"]
        assert told.forwards["denoise"] == Forwards(count=4, rows=10, most_rows=3, most_joined=2)


async def test_a_job_of_which_a_worker_cant_tell_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its engine says something that can't be sent: that must not leave somebody waiting for ever."""

    def strange(request: object, index: int) -> object:
        return object()

    monkeypatch.setattr("engine.fake.recipe_of", strange)
    here, there = socket.socketpair()
    async with FakeEngine() as engine:
        serving = asyncio.create_task(Serving(engine, Link(await SocketWire.over(there), "raw")).run())
        remote = RemoteEngine(Link(await SocketWire.over(here), "raw"), lambda: None)
        reading = asyncio.create_task(remote.serve())
        events = await asyncio.wait_for(events_of(remote.submit(asked(3), user="1")), 30)
        assert isinstance(events[-1], Failed)
        assert isinstance(events[-1].error, EngineFault)
        await remote.close()
        await asyncio.gather(serving, reading)


async def test_steps_are_told_no_more_often_than_anybody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each word of a worker takes a little of two processors; the last step and every picture are always told."""
    monkeypatch.setattr("engine.fleet.serving.PROGRESS_S", 1000.0)
    here, there = socket.socketpair()
    request = replace(asked(3, num_images=2), num_inference_steps=12)
    async with FakeEngine(step_s=0.002) as engine:
        serving = asyncio.create_task(Serving(engine, Link(await SocketWire.over(there), "raw")).run())
        remote = RemoteEngine(Link(await SocketWire.over(here), "raw"), lambda: None)
        reading = asyncio.create_task(remote.serve())
        events = await events_of(remote.submit(request, user="1"))
        check_painted(events, 3, 2)
        assert [each.step for each in events if isinstance(each, Progress)] == [1, 24]
        assert [each.index for each in events if isinstance(each, Preview)] == [0, 1]
        await remote.close()
        await asyncio.gather(serving, reading)
