"""The admins' panel: every page, every list, button and form; also after a restart, and not for others."""

from __future__ import annotations

from typing import Any

import discord
import pytest

from bot.demo.simulation import Stage
from bot.features.settings import store as preference_store
from bot.features.settings.store import Style
from bot.orders.actor import Actor
from tests.e2e.screen import paint, parts, press, words

TABS = (
    "Overview",
    "Quotas",
    "People",
    "Channels",
    "Words",
    "Pause",
    "Defaults",
    "Limits",
    "Jobs",
    "Reports",
    "Appeals",
    "Workers",
)
PAGES = {name: str(number) for number, name in enumerate(TABS)}


async def open_panel(studio: Stage, page: str = "Overview", who: str = "Ada") -> Any:
    result = await studio.members[who].slash(studio.channel, "admin panel")
    assert result.ephemeral
    await choose(studio, result.response, "s1:adm:0", PAGES[page], who)
    return result.response


async def choose(studio: Stage, message: Any, custom_id: str, value: Any, who: str = "Ada") -> Any:
    values = value if isinstance(value, list) else [value]
    result = await studio.members[who].select(message.message, values, custom_id=custom_id)
    assert result.acknowledged
    return result


async def fill(studio: Stage, message: Any, label: str, **answers: str) -> Any:
    """Press a button, fill in its form, submit it."""
    shown = await press(studio, message, label, "Ada")
    assert shown.modal is not None
    done = await studio.members["Ada"].submit_modal(shown, answers)
    assert done.acknowledged
    return done


async def test_every_page_is_shown_and_fits(studio: Stage) -> None:
    studio.settings.operators = (studio.members["Ada"].id,)
    for name in PAGES:
        message = await open_panel(studio, name)
        assert name in words(message)
        assert len(list(parts(message.components))) <= 40


async def test_a_person_is_given_credits_banned_and_let_back(studio: Stage) -> None:
    message, ann = await open_panel(studio, "People"), studio.members["Ann"]
    await choose(studio, message, "s1:ape:0", ann)
    assert "100 credits" in words(message)
    await studio.restart()
    await fill(studio, message, "Give credits …", amount="25", reason="prize")
    assert "25 credits granted" in words(message)
    await fill(studio, message, "Ban …", until="7d", reason="spam")
    refused = await ann.slash(studio.channel, "imagine", prompt="a boat")
    assert "spam" in str(refused.followups[-1].content if refused.followups else refused.response.content)
    await press(studio, message, "Unban", "Ada")
    assert "Not banned" in words(message)
    log = words((await studio.members["Ada"].slash(studio.channel, "admin audit")).response).replace("\\", "")
    assert [act for act in ("credits.grant", "ban.set", "ban.lift") if act not in log] == []


async def test_an_admin_cannot_be_banned_from_the_panel(studio: Stage) -> None:
    message = await open_panel(studio, "People")
    await choose(studio, message, "s1:ape:0", studio.members["Ada"])
    done = await fill(studio, message, "Ban …", until="", reason="")
    said = [*done.followups, *([done.response] if done.response else [])]
    assert "can't be banned" in said[-1].content or "can't ban yourself" in said[-1].content


async def test_channels_are_chosen_from_lists(studio: Stage) -> None:
    message = await open_panel(studio, "Channels")
    room = studio.guild.create_text_channel("pictures")
    await choose(studio, message, "s1:ach:0", room)
    await choose(studio, message, "s1:ach:2", room)
    await press(studio, message, "Age-restricted only: off", "Ada")
    await fill(studio, message, "Stars …", stars="5")
    rules = await studio.app.moderation.rules(studio.guild.id)
    assert (rules.allowed, rules.audit_channel, rules.age_only, rules.stars) == ({room.id}, room.id, True, 5)
    me = studio.guild.me
    assert me is not None
    locked = studio.guild.create_text_channel(
        "locked", overwrites={me: discord.PermissionOverwrite(attach_files=False)}
    )
    refused = await choose(studio, message, "s1:ach:0", [room, locked])
    assert "Attach Files" in refused.response.content
    assert (await studio.app.moderation.rules(studio.guild.id)).allowed == {room.id}
    await choose(studio, message, "s1:ach:0", [])
    assert not (await studio.app.moderation.rules(studio.guild.id)).allowed


async def test_words_are_added_tested_and_removed(studio: Stage) -> None:
    message = await open_panel(studio, "Words")
    await fill(studio, message, "Add …", word="dragon", rule="block")
    assert "dragon" in words(message)
    await fill(studio, message, "Test a prompt …", prompt="a DRAG0N")
    assert "dragon" in words(message).split("breaks:")[1]
    (word,) = await studio.app.moderation.words(studio.guild.id)
    await choose(studio, message, "s1:awo:0", str(word.id))
    assert "No words are blocked" in words(message)
    done = await fill(studio, message, "Add …", word="dragon", rule="explode")
    assert "There's no rule" in (done.response or done.followups[-1]).content


async def test_pauses_hold_until_one_goes_on(studio: Stage) -> None:
    message = await open_panel(studio, "Pause")
    await fill(studio, message, "Drain …", sentence="Back at noon.")
    refused = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat")
    assert "Back at noon" in str(refused.followups[-1].content if refused.followups else refused.response.content)
    await press(studio, message, "Resume", "Ada")
    assert (await paint(studio)).attachments


async def test_defaults_are_set_from_lists_and_a_form(studio: Stage) -> None:
    await studio.app.store.write(
        preference_store.save_style, studio.guild.id, Style(name="ink", template="ink {prompt}"), 0
    )
    message = await open_panel(studio, "Defaults")
    await choose(studio, message, "s1:ade:1", "3:2")
    await choose(studio, message, "s1:ade:2", ["ink"])
    await fill(studio, message, "Steps, guidance, scheduler, negative …", steps="7", guidance="2.5", negative="fog")
    now = await studio.app.preferences.defaults(studio.guild.id)
    assert (now.shape, now.styles, now.steps, now.guidance, now.negative) == ("3:2", ("ink",), 7, 2.5, "fog")
    await choose(studio, message, "s1:ade:2", [])
    assert (await studio.app.preferences.defaults(studio.guild.id)).styles == ()
    done = await fill(studio, message, "Steps, guidance, scheduler, negative …", steps="abc")
    assert "isn't a valid number for steps" in (done.response or done.followups[-1]).content


async def test_the_overview_tells_today_and_shows_the_chart(studio: Stage) -> None:
    await paint(studio)
    message = await open_panel(studio)
    assert "images 4 · members 1" in words(message)
    shown = await press(studio, message, "Last 7 days", "Ada")
    assert [attachment.filename for attachment in shown.response.attachments] == ["stats.png", "stats.csv"]


async def test_the_panel_works_after_a_restart(studio: Stage) -> None:
    message = await open_panel(studio)
    await studio.restart()
    await choose(studio, message, "s1:adm:0", PAGES["Words"])
    await fill(studio, message, "Add …", word="dragon", rule="flag")
    assert "dragon" in words(message)


@pytest.mark.parametrize(
    ("page", "custom_id", "value"),
    [
        ("Overview", "s1:adm:0", "4"),
        ("Words", "s1:awo:0", "1"),
        ("Defaults", "s1:ade:0", "-"),
        ("Words", "v1:awo:2", ""),
    ],
)
async def test_somebody_who_lost_the_right_is_refused(studio: Stage, page: str, custom_id: str, value: str) -> None:
    ada = studio.members["Ada"]
    by = Actor(user_id=ada.id, guild_id=studio.guild.id, channel_id=1, is_admin=True)
    await studio.app.moderation.add_word(by, studio.guild.id, "dragon", "flag")
    message = await open_panel(studio, page)
    studio.env.backend.guilds[studio.guild.id].members[ada.id].role_ids.clear()
    act = (
        ada.select(message.message, [value], custom_id=custom_id)
        if value
        else ada.click(message.message, custom_id=custom_id)
    )
    result = await act
    assert "Manage Server" in (result.response or result.followups[-1]).content
    assert len(await studio.app.moderation.words(studio.guild.id)) == 1


async def test_members_do_not_see_the_command(studio: Stage) -> None:
    assert "admin" not in studio.members["Ann"].available_commands(studio.channel)
