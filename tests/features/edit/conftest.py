"""A server with a model that paints, and another that edits."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from PIL import Image

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from engine.fake import MINI, FakeEngine

EDITOR = replace(MINI, key="editor", tasks=frozenset({"edit"}), edited_pictures=3)


def png(colour: str = "teal", size: tuple[int, int] = (96, 64)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
async def studio(settings: Settings) -> AsyncIterator[Stage]:
    async with stage(settings, make_engine=lambda: FakeEngine((MINI, EDITOR))) as running:
        yield running
        await running.idle()
