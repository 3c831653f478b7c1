"""A member whose Discord is German, in a simulated server."""

from __future__ import annotations

import asyncio
from typing import Any

import discord

from bot.demo.simulation import Stage
from tests.e2e.screen import buttons, paint
from tests.features.moderation.test_moderation import said

GERMAN = "de"


def speaks(studio: Stage, locale: str) -> None:
    """Everybody's Discord is in this language from now on."""

    def listen(event: str, data: Any, *_more: Any) -> None:
        if event == "INTERACTION_CREATE":
            data["locale"] = locale

    studio.env.backend.subscribers.insert(0, listen)


async def test_pictures_come_with_german_words(studio: Stage) -> None:
    speaks(studio, GERMAN)
    message = await paint(studio)
    assert {"Löschen", "Melden"} <= set(buttons(message))
    assert studio.bot.locales[studio.members["Ann"].id] is discord.Locale.german


async def test_refusals_and_credits_are_german(studio: Stage) -> None:
    speaks(studio, GERMAN)
    ann = studio.members["Ann"]
    refused = said(await ann.slash(studio.channel, "imagine", prompt="a boat --model nobody"))
    assert "Es gibt kein Modell 'nobody'." in refused
    account = said(await ann.slash(studio.channel, "credits"))
    assert "**Was Dinge kosten**" in account


async def test_others_read_english(studio: Stage) -> None:
    assert "Delete" in buttons(await paint(studio))


async def test_a_job_goes_on_in_its_language_after_a_restart(studio: Stage) -> None:
    speaks(studio, GERMAN)
    studio.engine.step_s = 0.05  # type: ignore[attr-defined]
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a red boat")
    await asyncio.sleep(0.2)
    await studio.restart()
    assert studio.bot.locales == {}  # nobody has told the new process
    await studio.idle()
    (message,) = [each for each in studio.channel.history() if each.attachments]
    assert message.id == result.response.id
    assert {"Löschen", "Melden"} <= set(buttons(result.response))


async def test_what_a_job_failed_with_is_said_in_its_language(studio: Stage) -> None:
    speaks(studio, GERMAN)
    failed = await paint(studio, "!fail --n 1")
    job = (await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id, limit=1))[0]
    assert job.language == "de"
    assert "Noch mal versuchen" in buttons(failed)
