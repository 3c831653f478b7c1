"""The engine can paint no more: the process ends with a sentence, and the next one paints what waits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.config import Settings
from bot.demo.simulation import stage
from engine.api.tickets import JobTicket
from engine.backend import EngineStatus
from engine.fake import FakeEngine
from tests.e2e.conftest import unhurried
from tests.e2e.screen import words

__all__ = ["unhurried"]


class DyingEngine(FakeEngine):
    """Takes a job, never ends it, and is dead once it's told so."""

    dead = False

    def submit(self, *args: Any, **options: Any) -> JobTicket:
        return JobTicket(lambda: None)

    def status(self) -> EngineStatus:
        return EngineStatus(running=1, facts={"lost": "Its thread has ended."} if self.dead else {})


async def test_an_engine_that_dies_ends_the_process_and_loses_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.features.operations.watch.LOOK_S", 0.01)
    monkeypatch.setattr("bot.jobs.dispatcher.CANCEL_S", 0.01)
    engines = iter([DyingEngine(), FakeEngine()])
    settings = Settings(_env_file=None, data_dir=tmp_path, min_free_mib=0, shutdown_grace_s=0)
    failed = asyncio.Event()
    async with stage(settings, make_engine=lambda: next(engines)) as studio:
        studio.app.on_failure = failed.set
        asked = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a red boat")
        studio.engine.dead = True  # type: ignore[attr-defined]
        await asyncio.wait_for(failed.wait(), 20)
        assert studio.app.failure.startswith("Its thread has ended. Start Easel again")
        await studio.restart()
        await studio.idle()
        [job] = await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id)
        assert (job.state, job.charged_mc) == ("done", 4000)
        assert "a red boat" in words(asked.response)
        assert await studio.app.store.problems() == []
