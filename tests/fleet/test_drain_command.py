"""`easel drain`, from the command line to the bot and back, and what the doctor and operators see of workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes import asked as painting
from fakes import fake_specs, until

from bot.cli import doctor
from bot.cli import drain as command
from bot.cli.main import build_parser, main
from bot.config import Settings
from bot.errors import BadInput, NotFound
from bot.features.workers import drains, service, views
from bot.features.workers.drains import Wish
from bot.features.workers.service import Workers
from bot.store.clock import SystemClock
from engine.backend import WorkerStatus
from engine.fake import FakeEngine
from engine.fleet.fleet import Fleet
from tests.services.workbench import Workbench, asked, workbench
from tests.services.workbench import until as bench_until


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "LOOK_S", 0.05)
    monkeypatch.setattr(command, "LOOK_S", 0.02)
    monkeypatch.setattr(command, "OBEYED_S", 5.0)


async def nobody(why: str) -> None:
    """Whom no alert reaches."""


@asynccontextmanager
async def running(folder: Path, engine: Fleet | FakeEngine) -> AsyncIterator[Workbench]:
    """A bot's queue with an engine, and what drains it."""
    async with workbench(folder, SystemClock(), engine=engine, credits_a_day=10**6, max_queued=100) as bench:
        workers = Workers(bench.settings, engine, bench.dispatcher, nobody)
        await workers.start()
        try:
            yield bench
        finally:
            await workers.loop.stop()


async def easel(folder: Path, *words: str) -> int:
    """The command, as another process has it."""
    settings = Settings(_env_file=None, data_dir=folder)  # type: ignore[call-arg]
    args = build_parser().parse_args(["drain", *words])
    return await asyncio.to_thread(command.run, args, settings)


async def test_one_worker_is_drained_and_paints_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet(fake_specs(2, step_s=0.02), catalogue=FakeEngine())
    async with running(tmp_path, fleet) as bench:
        await until(lambda: all(member.backend is not None for member in fleet.members))
        jobs = [await bench.jobs.submit(asked(num_images=2, seed=seed, width=64, height=64)) for seed in range(4)]
        await until(lambda: bool(fleet.member("fake-1").held))
        assert await easel(tmp_path, "fake-1") == 0
        assert fleet.member("fake-1").backend is None
        await bench.idle(60)
        assert {(await bench.store.job(job.id)).state for job in jobs} == {"done"}
        assert "easel drain fake-1 --undo" in capsys.readouterr().out
        with pytest.raises(BadInput, match=r"fake-3\. There are: fake-1, fake-2"):
            await easel(tmp_path, "fake-3")
        assert await easel(tmp_path) == 0
        assert "fake-1: drained" in capsys.readouterr().out
        assert await easel(tmp_path, "fake-1", "--undo") == 0
        assert fleet.member("fake-1").backend is not None
        assert sum(member.ends for member in fleet.members) == 0


@pytest.mark.parametrize("several", [False, True])
async def test_everything_is_drained_until_the_next_start(tmp_path: Path, several: bool) -> None:
    """What is being painted is finished; what waits is painted after an upgrade."""

    def engine() -> Fleet | FakeEngine:
        return Fleet(fake_specs(2, step_s=0.02), catalogue=FakeEngine()) if several else FakeEngine(step_s=0.02)

    async with running(tmp_path, engine()) as bench:
        jobs = [await bench.jobs.submit(asked(num_images=2, seed=seed, width=64, height=64)) for seed in range(40)]
        await until(lambda: any(run.started for run, _ in bench.dispatcher._runs.values()))
        assert await easel(tmp_path, "--all") == 0
        assert bench.dispatcher.running == frozenset()
        await bench_until(lambda: delivered(bench))
        states = [(await bench.store.job(job.id)).state for job in jobs]
        assert set(states) == {"done", "queued"}
        await asyncio.sleep(0.2)
        assert [(await bench.store.job(job.id)).state for job in jobs] == states
        done = states.count("done")
        results = [job for job, kind, _ in bench.post.sent if kind == "result"]
        assert len(results) == len(set(results)) == done
    async with running(tmp_path, engine()) as bench:
        await bench.idle(120)
        assert {(await bench.store.job(job.id)).state for job in jobs} == {"done"}
        assert {(await bench.store.job(job.id)).attempts for job in jobs} <= {0, 1}


async def delivered(bench: Workbench) -> bool:
    return not await bench.store.read(lambda db: db.execute("SELECT 1 FROM job WHERE state = 'rendered'").fetchall())


async def test_draining_everything_can_be_called_off(tmp_path: Path) -> None:
    async with running(tmp_path, FakeEngine()) as bench:
        await easel(tmp_path, "--all")
        job = await bench.jobs.submit(asked(width=64, height=64))
        await asyncio.sleep(0.2)
        assert (await bench.store.job(job.id)).state == "queued"
        await easel(tmp_path, "--all", "--undo")
        await bench.idle(30)
        assert (await bench.store.job(job.id)).state == "done"


async def test_without_a_running_bot_nothing_stays_drained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "OBEYED_S", 0.1)
    with pytest.raises(NotFound, match="No Easel is running"):
        await easel(tmp_path, "--all")
    assert drains.wished(tmp_path) == Wish()
    (tmp_path / drains.WISH_FILE).write_text('{"workers": 7, "everything": "perhaps"}')
    (tmp_path / drains.REPORT_FILE).write_text('{"at_s": "soon"}')
    assert (drains.wished(tmp_path), drains.told(tmp_path)) == (Wish(), None)


async def test_the_doctor_tells_of_the_running_bots_workers(tmp_path: Path) -> None:
    fleet = Fleet(fake_specs(2), catalogue=FakeEngine())
    async with running(tmp_path, fleet):
        await until(lambda: all(member.backend is not None for member in fleet.members))
        await fleet.submit(painting(3)).result()
        await until(lambda: any("done 1" in view for view in lines(tmp_path)))
        await easel(tmp_path, "fake-2")
        settings = Settings(_env_file=None, data_dir=tmp_path)  # type: ignore[call-arg]
        found = {check.what: check for check in await asyncio.to_thread(lambda: [*doctor.workers.workers(settings)])}
        assert found["worker fake-1"].verdict == "ok"
        assert (found["worker fake-2"].verdict, found["worker fake-2"].sentence) == ("note", "drained.")


def lines(folder: Path) -> list[str]:
    report = drains.told(folder)
    return [views.line(worker) for worker in report.workers] if report is not None else []


def test_a_worker_in_words() -> None:
    worker = WorkerStatus(
        name="cuda:1",
        models=("sdxl", "mini"),
        loaded=("sdxl",),
        running=1,
        queued=2,
        done=40,
        memory_bytes=7_000_000_000,
        free_bytes=4_000_000_000,
        ends=2,
        last_end="it has ended (SIGKILL)",
    )
    told = "running 1 · queued 2 · done 40 · in memory: sdxl · 7.0 GB held · 4.0 GB free · gone 2 times: it has ended"
    assert views.line(worker).startswith(told)
    assert "sdxl, mini" in views.paragraph(worker)
    assert views.state(WorkerStatus(name="cpu", up=False, problem="it has ended")) == "away: it has ended"
    assert views.state(WorkerStatus(name="cpu", drained=True)).startswith("draining · running 0")


def test_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(command, "OBEYED_S", 0.1)
    assert main(["drain"]) == 0
    assert "No Easel is running" in capsys.readouterr().out
    assert main(["drain", "cuda:1"]) == 2
    assert main(["drain", "cuda:1", "--undo"]) == 0
