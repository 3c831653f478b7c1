"""The whole bot with two workers: members paint as ever, and whoever runs it sees each of them."""

from __future__ import annotations

from pathlib import Path

import aiohttp
from fakes import asked, fake_specs, until
from pydantic import SecretStr

from bot.config import Settings
from bot.demo.simulation import FIRST_USER_ID, Stage, stage
from bot.features.operations.looks import EngineLook, WorkersLook
from bot.features.workers.panel_workers import TAB
from engine.fake import FakeEngine
from engine.fleet.fleet import Fleet
from tests.e2e.screen import paint, parts, words

TOKEN = "open-sesame"
ADA = FIRST_USER_ID + 2


async def test_members_paint_and_operators_see_the_workers(tmp_path: Path) -> None:
    token = SecretStr(TOKEN)
    settings = Settings(
        _env_file=None, data_dir=tmp_path, min_free_mib=0, web_port=0, metrics_token=token, operators=(ADA,)
    )

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
            assert f'easel_worker_drained{{worker="{name}"}} 0.0' in text
            assert f'easel_worker_ends{{worker="{name}"}} 0.0' in text
        await check_seen(studio, operator="Ada", member="Ann")


async def check_seen(studio: Stage, operator: str, member: str) -> None:
    """Whoever runs the bot sees each worker in the panel and at each model; others don't know of them."""
    panel = await studio.members[operator].slash(studio.channel, "admin panel")
    await studio.members[operator].select(panel.response.message, [str(TAB.number)], custom_id="s1:adm:0")
    assert "**fake\\-1** running 0" in words(panel.response)
    assert "2 of 2 are there" in words(panel.response)
    listed = await studio.members[operator].slash(studio.channel, "models")
    assert "On the workers: fake\\-1" in words(listed.response)
    listed = await studio.members[member].slash(studio.channel, "models")
    assert "fake" not in words(listed.response)


async def test_workers_that_stay_away_are_told_and_health_minds_only_when_all_are() -> None:
    fleet = Fleet(fake_specs(2), catalogue=FakeEngine())
    look, health = WorkersLook(fleet), EngineLook(fleet)
    assert look() == ""
    assert "fake-1 (it is starting), fake-2" in look()
    assert "no worker is there" in await health()
    fleet.member("fake-1").backend = FakeEngine()
    assert "fake-1" not in look()
    assert await health() == ""
    fleet.drain(["fake-1", "fake-2"])
    fleet.submit(asked(3))
    assert (look(), await health(), look()) == ("", "", "")
