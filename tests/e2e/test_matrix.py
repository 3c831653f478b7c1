"""Every command and every button, pressed by everybody: member, admin, operator, banned, and from another server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest

from bot.config import Settings
from bot.delivery import layouts
from bot.demo.simulation import Stage, stage
from bot.features.moderation.service import ELSEWHERE
from bot.kit.button import Button
from bot.kit.custom_ids import Action, ButtonId
from engine.fake import FakeEngine
from tests.e2e.screen import a_minute_later, delete, paint
from tests.features.generate.test_options import file
from tests.features.moderation.test_moderation import said

SECRET = "zebra"
BANNED, NOT_ADMIN, BROKEN = "can't use Easel", "You need the **Manage Server** permission", "Something went wrong"
ROLES = {"member": "Ann", "admin": "Ada", "operator": "Olga", "banned": "Bob", "stranger": "Eve"}


class Town:
    """A server with everybody in it, another one with Eve, and a picture of Ben's in the first."""

    def __init__(self, studio: Stage) -> None:
        self.studio = studio
        self.other = studio.env.create_guild("Elsewhere")
        self.square = self.other.create_text_channel("square")
        self.eve = self.other.add_member(studio.env.create_user("eve"))

    def place(self, role: str) -> tuple[Any, Any]:
        """Who acts, and in which channel."""
        if role == "stranger":
            return self.eve, self.square
        return self.studio.members[ROLES[role]], self.studio.channel

    async def open(self) -> None:
        people = self.studio.members
        self.studio.settings.operators = (people["Olga"].id,)
        await paint(self.studio, f"a {SECRET}", "Ben")
        await self.studio.members["Ada"].slash(self.studio.channel, "admin ban", user=people["Bob"])
        await self.show_admin()

    async def show_admin(self) -> None:
        """Let everybody see /admin, as a server can by mistake: the commands check again."""
        command = next(each for each in await self.studio.bot.tree.fetch_commands() if each.name == "admin")
        self.studio.guild.set_command_permissions(command.id, dict.fromkeys(self.studio.members.values(), True))
        self.other.set_command_permissions(command.id, {self.eve: True})


@pytest.fixture
async def town(tmp_path: Any) -> AsyncIterator[Town]:
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0)
    async with stage(settings, ("Ann", "Ben", "Bob", "Olga"), make_engine=FakeEngine) as studio:
        built = Town(studio)
        await built.open()
        yield built
        await studio.idle()
        assert await studio.app.store.problems() == []


def options(command: Any, town: Town) -> dict[str, Any]:
    """A value for each option that must be given."""
    kinds = discord.AppCommandOptionType
    values = {
        kinds.string: "2",
        kinds.integer: 1,
        kinds.number: 1.0,
        kinds.boolean: True,
        kinds.user: town.studio.members["Ben"],
        kinds.attachment: ("a.png", file()),
        kinds.role: town.studio.guild.default_role,
        kinds.channel: town.studio.channel,
    }
    needed = [each for each in command.parameters if each.required]
    chosen = {each.name: each.choices[0].value if each.choices else values[each.type] for each in needed}
    return {**chosen, **({"prompt": "a boat"} if "prompt" in chosen else {})}


async def answers(town: Town, role: str) -> dict[str, str]:
    """What each command answers to somebody."""
    who, channel = town.place(role)
    found = {}
    for command in town.studio.bot.tree.walk_commands():
        if isinstance(command, discord.app_commands.Group):
            continue
        given = options(command, town)
        if role == "stranger":  # there, nobody of the first server can be named
            given = {name: town.eve if name == "user" else value for name, value in given.items()}
        found[command.qualified_name] = said(await who.slash(channel, command.qualified_name, **given))
        await town.studio.idle()
    return found


@pytest.mark.parametrize("role", ["member", "banned", "stranger"])
async def test_commands_that_are_not_for_them(town: Town, role: str) -> None:
    before = await town.studio.app.jobs.pending()
    heard = await answers(town, role)
    for name, text in heard.items():
        assert BROKEN not in text, name
        if role == "banned" and not name.startswith("privacy "):  # one's data stays one's own
            assert text.strip() == "You can't use Easel in this server.", name
        elif name.startswith("admin "):
            assert NOT_ADMIN in text, name
        if role == "stranger":
            assert SECRET not in text, name
    assert await town.studio.app.jobs.pending() == before
    assert [each.user_id for each in await town.studio.app.moderation.bans(town.studio.guild.id)] == [
        town.studio.members["Bob"].id
    ]


@pytest.mark.parametrize("role", ["admin", "operator"])
async def test_admin_commands_are_for_admins_and_operators(town: Town, role: str) -> None:
    for name, text in (await answers(town, role)).items():
        assert BROKEN not in text, name
        assert NOT_ADMIN not in text, name


async def test_a_servers_ban_holds_in_direct_messages_too(town: Town) -> None:
    """Every command that Discord offers there, every completion, and every button made up by its id."""
    bob, tried = town.studio.members["Bob"].user, 0
    for name in bob.available_commands():
        given = options(_command(town, name), town)
        given = {key: bob if key == "user" else value for key, value in given.items()}
        if not name.startswith("privacy "):  # one's data stays one's own
            assert ELSEWHERE in said(await bob.slash(name, **given)), name
            tried += 1
    assert tried > 10
    there = await town.studio.bot.create_dm(await town.studio.bot.fetch_user(bob.id))
    for action in set(Action) - {Action.LEAVE}:
        message = await there.send(view=layouts.notice("forged", Button(ButtonId(action, 1), "press")))
        assert ELSEWHERE in said(await bob.click(message, custom_id=str(ButtonId(action, 1)))), action
    assert await town.studio.app.jobs.history(bob.id, 0) == []


def _command(town: Town, name: str) -> Any:
    """A command by its whole name."""
    return next(each for each in town.studio.bot.tree.walk_commands() if each.qualified_name == name)


async def test_menus_of_a_message(town: Town) -> None:
    picture = next(message for message in town.studio.channel.history() if message.attachments)
    menus = town.studio.bot.tree.get_commands(type=discord.AppCommandType.message)
    assert menus
    for menu in menus:
        result = await town.studio.members["Bob"].context_menu(town.studio.channel, menu.name, picture)
        assert said(result).strip() == "You can't use Easel in this server.", menu.name
        result = await town.studio.members["Ann"].context_menu(town.studio.channel, menu.name, picture)
        await town.studio.idle()
        assert BROKEN not in said(result), menu.name


# ------------------------------------------------------------------ buttons
async def forged(town: Town, role: str, action: Action, number: int) -> str:
    """Press a button made up by its id; what is answered, pictures as "[picture]"."""
    who, channel = town.place(role)
    there = town.studio.bot.get_partial_messageable(channel.id)
    message = await there.send(view=layouts.notice("forged", Button(ButtonId(action, number), "press")))
    result = await who.click(message, custom_id=str(ButtonId(action, number)))
    assert result.acknowledged, action
    await town.studio.idle()
    shown = [*result.followups, *([result.response] if result.response else [])]
    pictures = "".join(" [picture]" for each in shown if each.attachments)
    return said(result) + pictures + str(result.modal or "")


async def test_no_button_forged_by_id_shows_another_servers_picture(town: Town) -> None:
    for action in Action:
        for number in (1, 2, town.studio.members["Ben"].id):
            text = await forged(town, "stranger", action, number)
            assert SECRET not in text, action
            assert "[picture]" not in text, action
            assert BROKEN not in text, action
    assert len(await town.studio.app.jobs.images(1)) == 4
    assert await town.studio.app.jobs.history(town.eve.id, town.other.id) == []


async def test_the_banned_get_their_sentence_from_every_button(town: Town) -> None:
    for action in set(Action) - {Action.LEAVE}:  # one's data stays one's own
        assert (await forged(town, "banned", action, 1)).strip() == "You can't use Easel in this server.", action


async def test_buttons_of_a_deleted_picture_say_so(town: Town) -> None:
    message = await paint(town.studio, f"a {SECRET} too", "Ann")
    image_id = (await town.studio.app.jobs.images(2))[0].id
    await delete(town.studio, message)
    await a_minute_later(town.studio)
    for action in Action:
        for number in (2, image_id):
            text = await forged(town, "member", action, number)
            assert f"{SECRET} too" not in text, action
            assert BROKEN not in text, action
    assert len(await town.studio.app.jobs.images(1)) == 4


async def test_members_change_nothing_of_others_by_forged_buttons(town: Town) -> None:
    for action in Action:
        text = await forged(town, "member", action, 1)
        assert BROKEN not in text, action
    assert len(await town.studio.app.jobs.images(1)) == 4
    assert (await town.studio.app.jobs.get(1)).state == "done"


async def test_ids_that_nothing_has_are_answered(town: Town) -> None:
    for action in Action:
        for number in (0, 10**18 + 1):
            assert BROKEN not in await forged(town, "member", action, number), action
