"""A day's work with everything logged: no prompt, no token and no upload is in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import discord
import pytest

from bot.demo.simulation import Stage
from bot.logging_setup import handler
from engine.fake import FAIL_WORD
from tests.e2e.screen import paint, press

WORD = "zeppelinesque"


@pytest.fixture(params=["text", "json"])
def written(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[StringIO]:
    """What `EASEL_LOG_LEVEL=debug` writes, and more: every logger says all it can."""
    writing, out = handler(request.param), StringIO()
    writing.setStream(out)
    caplog.set_level(logging.DEBUG)
    logging.getLogger().addHandler(writing)
    yield out
    logging.getLogger().removeHandler(writing)


async def test_prompts_and_tokens_stay_out_of_the_log(written: StringIO, studio: Stage) -> None:
    tokens: set[str] = set()

    async def collect(interaction: discord.Interaction[Any]) -> None:
        tokens.add(interaction.token)

    studio.bot.add_check(collect)
    message = await paint(studio, f"a {WORD} boat")
    await press(studio, message, "V1")
    await paint(studio, f"a {WORD} {FAIL_WORD}")
    await studio.members["Ann"].slash(studio.channel, "imagine", prompt=f"a {WORD} --ar nonsense")
    await studio.members["Ada"].slash(studio.channel, "admin words", action="add", word=WORD)
    await studio.members["Ann"].slash(studio.channel, "imagine", prompt=f"a {WORD} boat")
    logging.getLogger("bot.test").debug("the end")
    assert "the end" in written.getvalue()
    assert WORD not in written.getvalue()
    assert tokens
    assert [token for token in tokens if token in written.getvalue()] == []
