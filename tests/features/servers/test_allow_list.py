"""Easel works in the servers that those who run it name, and leaves others with a sentence."""

from __future__ import annotations

from typing import Any

import discord
import pytest

from bot.config import Settings
from bot.demo.simulation import GUILD_ID, Stage, stage
from engine.fake import FakeEngine
from tests.e2e.screen import paint

REFUSAL = "works in other servers only"


def guilds(studio: Stage) -> set[int]:
    return {guild.id for guild in studio.bot.guilds}


async def test_without_a_list_every_server_is_welcome(studio: Stage) -> None:
    other = studio.env.create_guild("Elsewhere")
    await studio.idle()
    assert guilds(studio) == {GUILD_ID, other.id}


async def test_a_server_that_is_not_listed_is_left_as_soon_as_it_adds_the_bot(settings: Settings) -> None:
    listed = settings.model_copy(update={"servers": (GUILD_ID,)})
    async with stage(listed, make_engine=FakeEngine) as studio:
        studio.env.create_guild("Elsewhere")
        await studio.env.settle()
        assert guilds(studio) == {GUILD_ID}
        assert (await paint(studio)).attachments


@pytest.mark.parametrize("silent", [False, True])
async def test_servers_are_left_at_the_next_start_with_a_sentence(studio: Stage, silent: bool) -> None:
    other = studio.env.create_guild("Elsewhere")
    quiet: dict[Any, Any] = {other.default_role: discord.PermissionOverwrite(send_messages=False)}
    other.create_text_channel("rules", overwrites=quiet)
    other.create_text_channel("square", overwrites=quiet if silent else {})
    said: list[str] = []

    def listen(event: str, what: Any) -> None:
        said.extend([what["content"]] if event == "MESSAGE_CREATE" else [])

    studio.env.backend.subscribers.append(listen)
    studio.settings = studio.settings.model_copy(update={"servers": (GUILD_ID,)})
    await studio.restart()
    await studio.env.settle()
    assert guilds(studio) == {GUILD_ID}
    assert len(said) == (0 if silent else 1)
    assert all(REFUSAL in each and str(other.id) in each for each in said)


async def test_what_is_asked_from_another_server_is_refused_but_for_ones_own_data(studio: Stage) -> None:
    """Between its adding the bot and the bot's leaving, say."""
    other = studio.env.create_guild("Elsewhere")
    square = other.create_text_channel("square")
    eve = other.add_member(studio.env.create_user("eve"))
    await studio.env.settle()
    studio.app.allow_list._servers = frozenset({GUILD_ID})
    answer = await eve.slash(square, "imagine", prompt="a boat")
    assert REFUSAL in (answer.response or answer.followups[-1]).content
    assert await eve.autocomplete(square, "imagine", "model", "") == []
    answer = await eve.slash(square, "privacy export")
    assert REFUSAL not in str((answer.response or answer.followups[-1]).content)
    assert await studio.app.jobs.queue_length() == 0
