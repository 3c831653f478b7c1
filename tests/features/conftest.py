"""The whole bot in the simulated Discord, as for the end-to-end tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from engine.fake import FakeEngine
from tests.e2e.conftest import settings, studio, unhurried

__all__ = ["failing_studio", "settings", "studio", "unhurried"]


@pytest.fixture
async def failing_studio(settings: Settings) -> AsyncIterator[Stage]:
    """A stage whose bot may raise inside a command: simcord would raise that again at the end of the test."""
    with suppress(ExceptionGroup):
        async with stage(settings, make_engine=FakeEngine) as running:
            yield running
            assert await running.app.store.problems() == []
