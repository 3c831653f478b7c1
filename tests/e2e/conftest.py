"""The whole bot in the simulated Discord, with the engine that paints circles."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.features.audit import audit_channel
from engine.fake import FakeEngine


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Audit entries are posted at once: every action in the simulated Discord waits for those it causes."""
    monkeypatch.setattr(audit_channel, "PACE_S", 0.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0)


@pytest.fixture
async def studio(settings: Settings, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Stage]:
    """A stage whose books must balance and whose log must hold no error at the end.

    discord.py only logs what goes wrong in a button, so its log is part of what is tested.
    """
    async with stage(settings, make_engine=FakeEngine) as running:
        yield running
        await running.idle()
        assert await running.app.store.problems() == []
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == []
