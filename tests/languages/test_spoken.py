"""A member whose Discord is German, in a simulated server."""

from __future__ import annotations

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
