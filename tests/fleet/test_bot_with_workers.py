"""The whole bot with two workers: members paint as ever, and whoever runs it sees each of them."""

from __future__ import annotations

from pathlib import Path

import aiohttp
from fakes import fake_specs, until
from pydantic import SecretStr

from bot.config import Settings
from bot.demo.simulation import stage
from bot.features.operations.looks import EngineLook, WorkersLook
from bot.features.stats.views import worker_line
from engine.backend import WorkerStatus
from engine.fake import FakeEngine
from engine.fleet.fleet import Fleet
from tests.e2e.screen import paint, parts, words

TOKEN = "open-sesame"


async def test_members_paint_and_operators_see_the_workers(tmp_path: Path) -> None:
    token = SecretStr(TOKEN)
    settings = Settings(_env_file=None, data_dir=tmp_path, min_free_mib=0, web_port=0, metrics_token=token)

    def fleet() -> Fleet:
        return Fleet(fake_specs(2), catalogue=FakeEngine())

    async with stage(settings, make_engine=fleet) as studio:
        engine = studio.engine
        assert isinstance(engine, Fleet)
        await until(lambda: all(member.backend is not None for member in engine.members))
        message = await paint(studio, "a red boat")
        assert "a red boat" in words(message)
        assert parts(message)
        server = studio.app._editor._server
        assert server is not None
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/metrics"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            text = await answer.text()
        for name in ("fake-1", "fake-2"):
            assert f'easel_worker_up{{worker="{name}"}} 1.0' in text
            assert f'easel_worker_ends{{worker="{name}"}} 0.0' in text


def test_a_worker_in_one_line() -> None:
    worker = WorkerStatus(name="cuda:1", loaded=("sdxl",), running=1, queued=2, memory_bytes=7_000_000_000, ends=1)
    assert worker_line(worker) == "**cuda:1** running 1 · queued 2 · sdxl · 7.0 GB held · gone 1 times"
    assert worker_line(WorkerStatus(name="cpu", up=False, problem="it has ended")) == "**cpu** away: it has ended"


async def test_workers_that_stay_away_are_told_and_health_minds_only_when_all_are() -> None:
    fleet = Fleet(fake_specs(2), catalogue=FakeEngine())
    look, health = WorkersLook(fleet), EngineLook(fleet)
    assert look() == ""
    assert "fake-1 (it is starting), fake-2" in look()
    assert "no worker is there" in await health()
    fleet.member("fake-1").backend = FakeEngine()
    assert "fake-1" not in look()
    assert await health() == ""
