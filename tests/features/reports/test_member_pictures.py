"""Moderators look through what a member made, page by page, and delete one job or all; private images stay private."""

from __future__ import annotations

from typing import Any

import discord
import pytest

from bot.demo.simulation import Stage
from bot.features.reports.member_pictures import PAGE
from tests.e2e.screen import paint, parts, press, words
from tests.features.admin.test_panel import choose
from tests.features.moderation.test_moderation import _forged, said
from tests.features.moderation.test_moderators import moderate, studio
from tests.features.reports.test_reports import log

__all__ = ["studio"]


async def images_of(studio: Stage, who: str = "Ann", by: str = "Mo") -> Any:
    shown = (await moderate(studio, by)).response
    await choose(studio, shown, "s1:ape:0", studio.members[who], by)
    await press(studio, shown, "Images …", by)
    return shown


async def test_pages_show_what_was_made_and_go_back(studio: Stage) -> None:
    for number in range(PAGE + 2):
        await paint(studio, f"boat number {number} --n 1")
    shown = await images_of(studio)
    assert len(list(parts(shown.components))) <= 40
    assert len(shown.attachments) == PAGE
    assert f"boat number {PAGE + 1}" in words(shown)
    assert "boat number 1" not in words(shown)
    await press(studio, shown, "Older", "Mo")
    assert "boat number 1" in words(shown)
    assert len(shown.attachments) == 2
    await press(studio, shown, "Newest", "Mo")
    await press(studio, shown, "Back", "Mo")
    assert "Not banned" in words(shown)
    assert not shown.attachments


async def test_one_job_is_deleted_with_its_message(studio: Stage) -> None:
    await paint(studio, "a red boat")
    shown = await images_of(studio)
    await press(studio, shown, "Delete", "Mo")
    assert "No images" in words(shown)
    assert await studio.app.jobs.images(1) == []
    assert [each for each in studio.channel.history() if each.attachments] == []


async def test_deleting_all_asks_once_and_leaves_what_is_private(studio: Stage) -> None:
    for options in ({}, {"private": True}, {}):
        await paint(studio, "a red boat --n 1", **options)
    await paint(studio, "a red boat", "Ben")
    shown = await images_of(studio)
    await press(studio, shown, "Delete all …", "Mo")
    assert "2 jobs" in words(shown)
    await press(studio, shown, "Keep them", "Mo")
    assert await studio.app.jobs.images(1)
    await press(studio, shown, "Delete all …", "Mo")
    await press(studio, shown, "Delete 2 jobs", "Mo")
    assert "No images" in words(shown)
    kept = [bool(await studio.app.jobs.images(number)) for number in range(1, 5)]
    assert kept == [False, True, False, True]
    assert ("job.delete_all", studio.members["Mo"].id) in await log(studio)


async def test_neither_private_images_nor_those_of_other_channels_are_there(studio: Stage) -> None:
    seen = discord.PermissionOverwrite(view_channel=True)
    closed = {
        studio.guild.default_role: discord.PermissionOverwrite(view_channel=False),
        **{who: seen for who in (studio.members["Ann"], studio.bot.user)},
    }
    hidden = studio.guild.create_text_channel("hidden", overwrites=closed)
    await studio.members["Ann"].slash(hidden, "imagine", prompt="a zebra")
    await studio.idle()
    await paint(studio, "a zebra", private=True)
    shown = await images_of(studio)
    assert "zebra" not in words(shown)
    assert not shown.attachments
    for job in (1, 2):
        assert "no such image" in said(await _forged(studio, "Mo", f"v1:mpd:{job}"))
        assert await studio.app.jobs.images(job)


@pytest.mark.parametrize("action", ["mp", "mpo", "mpd", "mpa", "mpy"])
async def test_the_buttons_are_for_moderators(studio: Stage, action: str) -> None:
    await paint(studio, "a red boat")
    number = studio.members["Ann"].id if action in ("mp", "mpa", "mpy") else 1
    assert "moderator role" in said(await _forged(studio, "Ben", f"v1:{action}:{number}"))
    assert await studio.app.jobs.images(1)


async def test_what_the_panel_showed_may_be_gone(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    shown = await images_of(studio)
    await press(studio, message, "Delete", "Ann")
    await press(studio, message, "Yes, delete", "Ann")
    assert "deleted" in said(await press(studio, shown, "Delete", "Mo"))
