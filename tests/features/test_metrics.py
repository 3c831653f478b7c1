"""What Prometheus reads: real figures after a day's work, for whoever knows the token, and nobody's names."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from engine.fake import FAIL_WORD, FakeEngine
from tests.e2e.screen import paint

TOKEN = "open-sesame-open-sesame"
WORD = "zeppelinesque"


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Stage]:
    settings = Settings(
        _env_file=None, data_dir=tmp_path / "data", min_free_mib=0, web_port=0, metrics_token=SecretStr(TOKEN)
    )
    async with stage(settings, make_engine=FakeEngine) as running:
        yield running


async def get(studio: Stage, token: str | None = TOKEN, path: str = "/metrics") -> tuple[int, str]:
    server = studio.app._editor._server
    assert server is not None
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.text()


def figures(text: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^([^#\s]\S*(?:\{[^}]*\})?) (\S+)$", text, re.M)}


async def test_a_days_work_is_counted(studio: Stage) -> None:
    await paint(studio, f"a {WORD} boat")
    await paint(studio, f"a boat {FAIL_WORD}")
    await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat --ar nonsense")
    logging.getLogger("bot.test").error("an error")
    status, text = await get(studio)
    assert status == 200
    found = figures(text)
    assert found['easel_jobs_total{outcome="finished"}'] == 1
    assert found['easel_jobs_total{outcome="render_failed"}'] == 1
    assert found['easel_deliveries_total{outcome="delivered"}'] == 2
    assert found['easel_queue_wait_seconds_count{lane="fast"}'] >= 1
    assert found["easel_step_seconds_count"] > 0
    assert found['easel_errors_total{logger="bot.test"}'] == 1
    assert sum(value for name, value in found.items() if name.startswith("easel_refusals_total")) == 1
    assert (found["easel_engine_up"], found["easel_servers"]) == (1, 1)
    assert (found['easel_jobs_waiting{lane="fast"}'], found["easel_jobs_running"], found["easel_deliveries_owed"]) == (
        0,
        0,
        0,
    )
    assert found["easel_disk_free_bytes"] > 0
    assert sys.platform != "linux" or found["process_resident_memory_bytes"] > 0
    names = (WORD, "boat", str(studio.guild.id), str(studio.members["Ann"].id), TOKEN)
    assert [name for name in names if name in text] == []


@pytest.mark.parametrize("token", [None, "", "wrong", f"{TOKEN}x", "ö"])
async def test_without_the_token_it_looks_as_if_there_were_nothing(studio: Stage, token: str | None) -> None:
    status, text = await get(studio, token)
    assert (status, text) == await get(studio, None, "/nothing")
    assert status == 404


async def test_without_an_address_there_is_no_editor(studio: Stage) -> None:
    assert not studio.app.region_selection.address


async def test_what_is_counted_outlives_no_restart(studio: Stage) -> None:
    """The handler of the process that ended must not count on."""
    handlers = len(logging.getLogger().handlers)
    await studio.restart()
    assert len(logging.getLogger().handlers) == handlers
