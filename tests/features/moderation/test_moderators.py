"""Who moderates: people who manage the server, and the role they chose. What is for whom is asked for in one place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest

from bot.config import Settings
from bot.delivery import layouts
from bot.demo.simulation import Stage, stage
from bot.kit.custom_ids import Action, SelectId
from bot.kit.select import Select, row_of
from engine.fake import FakeEngine
from tests.e2e.screen import buttons, paint, press, words
from tests.features.admin.test_panel import PAGES, choose, open_panel
from tests.features.moderation.test_moderation import _forged, _lend_admin, admin, said

FOR_ADMINS = "You need the **Manage Server** permission for this."
FOR_MODERATORS = "You need the **Manage Server** permission or this server's moderator role for this."
COMMANDS = {"panel", "appeals", "reports", "ban", "unban", "words", "jobs"}
"""Of /admin, those that are for moderators too."""
PEOPLE, REPORTS = {Action.BAN, Action.UNBAN, Action.STOP}, {Action.KEEP, Action.TAKE_DOWN}
IMAGES = {
    *(Action.PERSON, Action.PICTURES, Action.PICTURES_OLDER, Action.PICTURES_ONE),
    *(Action.PICTURES_ASK, Action.PICTURES_ALL),
}
PRESSES = {Action.PANEL, Action.WORD, Action.APPROVE, Action.DENY, *PEOPLE, *REPORTS, *IMAGES}
LISTS = {Action.PANEL, Action.PERSON, Action.WORD, Action.REPORTS, Action.APPEAL}


@pytest.fixture
async def studio(settings: Settings) -> AsyncIterator[Stage]:
    """Mo has a role that moderates."""
    async with stage(settings, moderators=("Mo",), make_engine=FakeEngine) as running:
        assert "Changed" in await admin(running, "channels", moderators=role(running))
        yield running
        await running.idle()
        assert await running.app.store.problems() == []


def role(studio: Stage) -> Any:
    return next(each for each in studio.guild.roles.values() if each.name == "Moderator")


async def moderate(studio: Stage, who: str = "Mo") -> Any:
    return await studio.members[who].slash(studio.channel, "moderate")


def value_of(option: Any, studio: Stage) -> Any:
    """Some value for an option that must be given."""
    kinds = discord.AppCommandOptionType
    values = {kinds.string: "mini", kinds.integer: 1, kinds.number: 1.0, kinds.boolean: True}
    values[kinds.user] = studio.members["Ben"]
    return option.choices[0].value if option.choices else values[option.type]


async def test_every_command_of_admin_is_for_admins_or_for_moderators_too(studio: Stage) -> None:
    command_id = next(each.id for each in await studio.bot.tree.fetch_commands() if each.name == "admin")
    studio.guild.set_command_permissions(command_id, {studio.members[who]: True for who in ("Mo", "Ann")})
    group: Any = studio.bot.tree.get_command("admin")
    open_to: dict[str, set[str]] = {"Mo": set(), "Ann": set()}
    for command in group.walk_commands():
        given = {each.name: value_of(each, studio) for each in command.parameters if each.required}
        for who, found in open_to.items():
            asked = studio.members[who].slash(studio.channel, command.qualified_name, **given)
            if not said(await asked).startswith("You need the **Manage Server** permission"):
                found.add(command.name)
    assert open_to == {"Mo": COMMANDS, "Ann": set()}


async def test_every_button_and_list_of_the_panel_is_for_admins_or_for_moderators_too(studio: Stage) -> None:
    pressed, chosen = {}, {}
    for action in Action:
        for who in ("Ann", "Mo"):
            pressed[who, action] = said_first(await _forged(studio, who, f"v1:{action}:1"))
            chosen[who, action] = said_first(await select(studio, who, action))
    for answers, for_moderators in ((pressed, PRESSES), (chosen, LISTS)):
        theirs = {action for action in Action if answers["Ann", action].startswith(FOR_MODERATORS)}
        admins = {action for action in Action if answers["Ann", action].startswith(FOR_ADMINS)}
        assert theirs == for_moderators
        assert all(answers["Mo", action].startswith(FOR_ADMINS) for action in admins)
        assert not [action for action in theirs if answers["Mo", action].startswith("You need the")]
    assert {Action.GRANT, Action.QUOTA, Action.LIMIT, Action.CHANNEL, Action.PAUSE, Action.DEFAULT} <= {
        action for action in Action if pressed["Mo", action].startswith(FOR_ADMINS)
    } | {Action.LIMIT}


def said_first(result: Any) -> str:
    return said(result).strip()


async def select(studio: Stage, who: str, action: Action) -> Any:
    view = layouts.notice("forged")
    view.add_item(row_of(Select.text(SelectId(action, 1), [("one", "1")], placeholder="one")))
    message = await studio.bot.get_partial_messageable(studio.channel.id).send(view=view)
    return await studio.members[who].select(message, ["1"], custom_id=str(SelectId(action, 1)))


async def test_moderators_have_the_pages_that_are_theirs(studio: Stage) -> None:
    shown = await moderate(studio)
    assert shown.ephemeral
    assert "People" in words(shown.response)
    for page in ("Words", "Jobs", "People"):
        await choose(studio, shown.response, "s1:adm:0", PAGES[page], "Mo")
        assert page in words(shown.response)
    for page in ("Overview", "Quotas", "Channels", "Pause", "Defaults", "Limits"):
        forged = await _forged(studio, "Mo", f"v1:adm:{PAGES[page]}")
        assert "People" in words(forged.response), page
    assert FOR_MODERATORS in said(await moderate(studio, "Ann"))
    assert "Overview" in words((await moderate(studio, "Ada")).response)


async def test_a_moderator_bans_and_lets_back_but_sees_no_credits(studio: Stage) -> None:
    shown = (await moderate(studio)).response
    await choose(studio, shown, "s1:ape:0", studio.members["Ann"], "Mo")
    assert "**Credits**" not in words(shown)
    assert list(buttons(shown)) == ["Images …", "Ban …"]
    form = await press(studio, shown, "Ban …", "Mo")
    assert (await studio.members["Mo"].submit_modal(form, {"until": "7d", "reason": "spam"})).acknowledged
    assert "spam" in said(await studio.members["Ann"].slash(studio.channel, "history"))
    await press(studio, shown, "Unban", "Mo")
    assert "Not banned" in words(shown)


async def test_moderators_ban_neither_admins_nor_each_other(studio: Stage) -> None:
    await _lend_admin(studio, "Mo")
    for who, why in (("Ada", "People with **Manage Server**"), ("Mo", "Moderators can't ban each other")):
        assert why in await admin(studio, "ban", "Mo", user=studio.members[who])
    assert "Banned" in await admin(studio, "ban", user=studio.members["Mo"])
    assert "can't use Easel" in said(await moderate(studio))


async def test_a_moderator_deletes_and_cancels_what_others_made(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    await press(studio, message, "Delete", "Mo")
    assert "Deleted" in said(await press(studio, message, "Yes, delete", "Mo"))
    studio.settings.max_running = 0
    queued = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat")
    panel = (await moderate(studio)).response
    await choose(studio, panel, "s1:adm:0", PAGES["Jobs"], "Mo")
    assert "a boat" in words(panel)
    assert "Cancelled job" in said(await press(studio, panel, "Cancel", "Mo"))
    assert queued.acknowledged


async def test_the_panels_jobs_keep_their_words_from_who_cannot_read_them(studio: Stage) -> None:
    closed = {
        studio.guild.default_role: discord.PermissionOverwrite(view_channel=False),
        studio.bot.user: discord.PermissionOverwrite(view_channel=True),
    }
    hidden = studio.guild.create_text_channel("hidden", overwrites=closed)
    studio.settings.max_running = 0
    await studio.members["Ada"].slash(hidden, "imagine", prompt="a zebra")
    panel = (await moderate(studio)).response
    await choose(studio, panel, "s1:adm:0", PAGES["Jobs"], "Mo")
    assert "zebra" not in words(panel)
    assert "not for this channel" in words(panel)
    mine = await open_panel(studio, "Jobs")
    assert "zebra" in words(mine)
    await press(studio, mine, "Cancel", "Ada")


async def test_the_role_is_chosen_and_cleared(studio: Stage) -> None:
    assert "Not everyone" in await admin(studio, "channels", moderators=studio.guild.default_role)
    panel = await open_panel(studio, "Channels")
    await choose(studio, panel, "s1:ach:3", [])
    assert FOR_MODERATORS in said(await moderate(studio))
    await choose(studio, panel, "s1:ach:3", role(studio))
    await studio.restart()
    assert "People" in words((await moderate(studio)).response)
    assert "Moderators" in await admin(studio, "channels", clear="moderators")
    assert FOR_MODERATORS in said(await moderate(studio))
