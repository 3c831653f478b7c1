"""Talking to Easel: mentions with words, with a picture, and in reply to one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bot.demo.simulation import Stage
from bot.features.edit.mentions import UNWELCOME_MS
from bot.kit.interactions import DoubleClicks
from bot.store.clock import ManualClock
from engine import Edit
from tests.e2e.screen import buttons, paint, picture, press, words
from tests.features.edit.conftest import png


async def say(studio: Stage, text: str, who: str = "Ann", **more: Any) -> Any:
    """Send a message and wait; what the bot said to it, None when it said nothing."""
    before = {message.id for message in studio.channel.history()}
    await studio.members[who].send(studio.channel, text.replace("@Easel", f"<@{studio.bot.user.id}>"), **more)
    await studio.idle()
    new = [each for each in studio.channel.history() if each.id not in before and each.author.id == studio.bot.user.id]
    if not new:
        return None
    shown = new[-1]
    return SimpleNamespace(
        message=shown,
        content=shown.content,
        components=[each.to_dict() for each in shown.components],
        attachments=shown.attachments,
    )


async def test_words_alone_are_an_imagine(studio: Stage) -> None:
    shown = await say(studio, "@Easel a red boat --seed 7")
    assert "a red boat" in words(shown)
    assert picture(studio, shown).width > 0
    job = await studio.app.jobs.get(1)
    assert (job.spec.seed, job.kind, job.charged_mc > 0) == (7, "imagine", True)
    assert (await press(studio, shown, "U1", "Ben")).response is not None


async def test_a_reply_to_a_picture_changes_it(studio: Stage) -> None:
    grid = await paint(studio, "a red boat")
    single = (await press(studio, grid, "U3")).response
    shown = await say(studio, "@Easel make the hat red", "Ben", reply_to=single.message)
    assert "Edit of picture 3 of #1" in words(shown)
    studio.bot.clicks = DoubleClicks(studio.app.clock)  # time stands still here
    again = await say(
        studio, "@Easel now make it night", "Ben", reply_to=(await press(studio, shown, "U1")).response.message
    )
    assert "Edit of picture 1 of #2" in words(again)


async def test_an_attached_picture_is_changed(studio: Stage) -> None:
    shown = await say(studio, "@Easel as a robot", attachments=[("cat.png", png())])
    assert "Edit of an uploaded picture" in words(shown)
    assert isinstance((await studio.app.jobs.get(1)).spec.request, Edit)


async def test_a_picture_of_another_member_in_reply(studio: Stage) -> None:
    theirs = await studio.members["Ben"].send(studio.channel, "my cat", attachments=[("cat.png", png())])
    shown = await say(studio, "@Easel as a robot", reply_to=theirs)
    assert "as a robot" in words(shown)


@pytest.mark.parametrize("text", ["just talk", "a reply without a mention"])
async def test_what_is_not_said_to_it_is_left_alone(studio: Stage, text: str) -> None:
    grid = await paint(studio, "a red boat")
    assert await say(studio, text, reply_to=grid.message) is None


async def test_an_empty_mention_is_helped_in_one_line(studio: Stage) -> None:
    shown = await say(studio, "@Easel")
    assert "Mention me with what you'd like to see" in shown.content


async def test_a_grid_is_asked_for_one_picture(studio: Stage) -> None:
    grid = await paint(studio, "a red boat")
    shown = await say(studio, "@Easel make it blue", reply_to=grid.message)
    assert "Press U1 to U4" in shown.content
    assert "make it blue" in shown.content, "what was typed is kept"


async def test_a_refused_line_has_its_buttons(studio: Stage) -> None:
    shown = await say(studio, "@Easel a red boat --hugo")
    assert "--hugo" in shown.content
    again = await press(studio, shown, "Paint without it")
    assert "a red boat" in words(again.response)


@pytest.mark.parametrize("how", ["banned", "channel", "pause"])
async def test_who_is_not_welcome_is_told_once(studio: Stage, how: str) -> None:
    ann, ada = studio.members["Ann"], studio.members["Ada"]
    command, options = {
        "banned": ("admin ban", {"user": ann.user}),
        "channel": ("admin channels", {"age_only": True}),
        "pause": ("admin pause", {"mode": "drain"}),
    }[how]
    clock = ManualClock(studio.app.clock.now_ms())
    studio.bot.clicks = DoubleClicks(clock)
    await ada.slash(studio.channel, command, **options)
    shown = await say(studio, "@Easel a red boat")
    assert shown is not None
    assert "U1" not in buttons(shown)
    assert not await studio.app.jobs.pending()
    for later in range(3):
        clock.advance(10)
        assert await say(studio, f"@Easel a red boat {later}") is None, "everybody reads it"
    clock.advance(UNWELCOME_MS / 1000)
    assert await say(studio, "@Easel a red boat") is not None


async def test_a_server_may_switch_it_off(studio: Stage) -> None:
    await studio.members["Ada"].slash(studio.channel, "admin channels", mentions=False)
    assert await say(studio, "@Easel a red boat") is None


async def test_after_a_restart_old_answers_still_work(studio: Stage) -> None:
    shown = await say(studio, "@Easel a red boat")
    await studio.restart()
    assert "a red boat" in words((await press(studio, shown, "U2")).response)
    assert "a blue boat" in words(await say(studio, "@Easel a blue boat", "Ben"))
