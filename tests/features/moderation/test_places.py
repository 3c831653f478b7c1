"""Every command, menu, button, list, form and web page, from every place that somebody may try them from.

Ann must not get at what is in `house`: not in her direct messages, nor from another server, as a moderator who can't
read the channel, or by a form whose id she changed. What is tried is read from the bot itself: nothing new is left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import discord
import pytest
from aiohttp import ClientSession
from simcord.backend.errors import OptionError, SetupError

from bot.delivery import layouts
from bot.kit.button import Button
from bot.kit.custom_ids import Action, ButtonId, SelectId
from bot.kit.select import Select, row_of
from tests.e2e.screen import paint, press
from tests.e2e.test_matrix import BROKEN
from tests.e2e.test_visibility import NUMBERS, OPEN, SECRET, House, house
from tests.features.moderation.test_moderation import admin, said
from tests.features.moderation.test_moderators import value_of

__all__ = ["house"]
PLACES = ("direct messages", "another server", "as a moderator")


@dataclass
class Place:
    """Somewhere that somebody tries things from."""

    guild_id: int
    actor: Any
    slash: Callable[..., Awaitable[Any]]
    post: Callable[[discord.ui.LayoutView], Awaitable[discord.Message]]
    menu: Callable[[str, discord.Message], Awaitable[Any]] | None


@pytest.fixture
async def place(house: House, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Ann in one of PLACES."""
    studio, ann = house.studio, house.studio.members["Ann"]
    if request.param == "direct messages":
        user = await studio.bot.fetch_user(ann.id)
        yield Place(0, ann.user, ann.user.slash, lambda view: user.send(view=view), None)
        return
    guild, channel, actor = studio.guild, studio.channel, ann
    if request.param == "another server":
        guild = studio.env.create_guild("elsewhere")
        actor = guild.add_member(ann.user)
        channel = guild.create_text_channel("there", overwrites={studio.bot.user: OPEN})
    else:
        role = next(each for each in guild.roles.values() if each.name == "Moderator")
        assert "Changed" in await admin(studio, "channels", moderators=role)
        studio.env.backend.guilds[guild.id].members[ann.id].role_ids.append(role.id)
        command = next(each for each in await studio.bot.tree.fetch_commands() if each.name == "admin")
        guild.set_command_permissions(command.id, {ann: True})
    there = studio.bot.get_partial_messageable(channel.id)

    async def slash(name: str, /, **options: Any) -> Any:
        return await actor.slash(channel, name, **options)

    async def menu(name: str, message: discord.Message) -> Any:
        return await actor.context_menu(channel, name, message)

    yield Place(guild.id, actor, slash, lambda view: there.send(view=view), menu)


everywhere = pytest.mark.parametrize("place", PLACES, indirect=True)


async def nothing_got_out(house: House, place: Place) -> None:
    """Nothing secret was used for something of Ann's, and nothing was taken away but what moderators may."""
    await house.studio.idle()
    mine = await house.studio.app.jobs.history(house.studio.members["Ann"].id, place.guild_id, limit=500)
    assert not [job for job in mine if job.parent_job_id or SECRET in job.spec.prompt]
    secret = [job for job in house.jobs if not job.aged or place.guild_id != job.guild_id]
    assert [len(await house.studio.app.jobs.images(job.id)) for job in secret] == [2] * len(secret)


def check(answer: Any, what: object) -> None:
    told = f"{said(answer)}{answer.modal or ''}"
    assert SECRET not in told, what
    assert BROKEN not in told, what


@everywhere
async def test_no_command_leads_there(house: House, place: Place) -> None:
    studio, tried = house.studio, 0
    names = {NUMBERS[0]: [house.jobs[0].id, house.jobs[2].id], NUMBERS[1]: [f"{house.jobs[0].id}.1", house.links()[0]]}
    for command in [*studio.bot.tree.walk_commands()]:
        if not isinstance(command, discord.app_commands.Command) or command.qualified_name.startswith("privacy"):
            continue
        needed = {each.name: value_of(each, studio) for each in command.parameters if each.required}
        for option in command.parameters:
            for name in () if option.choices else names.get(option.type, ()):
                try:
                    answer = await place.slash(command.qualified_name, **{**needed, option.name: name})
                except (OptionError, SetupError):  # Discord itself offers no such thing there
                    continue
                check(answer, (command.qualified_name, option.name, name))
                tried += 1
    assert tried > 30
    await nothing_got_out(house, place)


@everywhere
async def test_no_button_or_list_leads_there(house: House, place: Place) -> None:
    (hidden, _), (private, _) = [await house.studio.app.jobs.images(house.jobs[at].id) for at in (0, 2)]
    numbers = (house.jobs[0].id, hidden.id, private.id)
    for action in Action:
        for number in dict.fromkeys(numbers):
            press_id = ButtonId(action, number)
            message = await place.post(layouts.notice("forged", Button(press_id, "press")))
            check(await place.actor.click(message, custom_id=str(press_id)), press_id)
        view = layouts.notice("forged")
        view.add_item(row_of(Select.text(SelectId(action, hidden.id), [("1", str(hidden.id))], placeholder="one")))
        message = await place.post(view)
        chosen = await place.actor.select(message, [str(hidden.id)], custom_id=str(SelectId(action, hidden.id)))
        check(chosen, (action, "list"))
    await nothing_got_out(house, place)


@pytest.mark.parametrize("place", PLACES[1:], indirect=True)  # there is no menu in the simulated direct messages
async def test_no_menu_leads_there(house: House, place: Place) -> None:
    image = (await house.studio.app.jobs.images(house.jobs[0].id))[0]
    message = await place.post(layouts.notice("forged", Button(ButtonId(Action.REMIX, image.id), "press")))
    menus = [each for each in house.studio.bot.tree.walk_commands(type=discord.AppCommandType.message)]
    assert {"Vary", "Report", "Describe"} <= {menu.name for menu in menus}
    for menu in menus:
        assert place.menu is not None
        check(await place.menu(menu.name, message), menu.name)
    await nothing_got_out(house, place)


async def test_no_form_with_a_changed_id_leads_there(house: House) -> None:
    studio, ann = house.studio, house.studio.members["Ann"]
    own = await paint(studio, "a red boat")
    hidden = (await studio.app.jobs.images(house.jobs[0].id))[0]
    for action in studio.bot._modals:
        for number in (house.jobs[0].id, hidden.id):
            shown = await press(studio, own, "Remix")
            assert shown.modal is not None
            shown.modal["custom_id"] = f"v1:{action}:{number}"
            check(await ann.submit_modal(shown, {"prompt": "a boat --nonsense"}), (action, number))
    await studio.idle()
    jobs = await studio.app.jobs.history(ann.id, studio.guild.id, limit=500)
    assert not [job for job in jobs if job.parent_job_id in {each.id for each in house.jobs}]


async def test_whoever_is_banned_gets_one_sentence_everywhere(house: House) -> None:
    studio, ben = house.studio, house.studio.members["Ben"]
    own = (await studio.app.jobs.images(house.jobs[2].id))[0]
    assert "Banned" in await admin(studio, "ban", user=ben)
    there = studio.bot.get_partial_messageable(studio.channel.id)
    for action in Action:
        press_id = ButtonId(action, own.id)
        message = await there.send(view=layouts.notice("forged", Button(press_id, "press")))
        answer = await ben.click(message, custom_id=str(press_id))
        assert said(answer).startswith("You can't use Easel") or action is Action.LEAVE, action
    for menu in studio.bot.tree.walk_commands(type=discord.AppCommandType.message):
        assert said(await ben.context_menu(studio.channel, menu.name, message)).startswith("You can't use Easel")


async def test_no_page_of_the_web_server_tells_anything_without_its_link(house: House) -> None:
    studio = house.studio
    runner = studio.app._editor._runner
    assert runner is not None
    hidden = (await studio.app.jobs.images(house.jobs[0].id))[0]
    files = ("editor.js", f"{hidden.id}.webp", f"{hidden.id}", f"{house.jobs[0].id}.webp")
    routes = {(route.method, route.resource.canonical) for route in runner.app.router.routes() if route.resource}
    assert len(routes) >= 8
    async with ClientSession() as session:
        for method, path in sorted(routes):
            for file in files if "{file}" in path or "{name}" in path else ("",):
                end = path.format(token="x" * 43, guild=studio.guild.id, name=file, file=file, path="other")
                url = f"{studio.app.region_selection.address}{end}"
                async with session.request(method.replace("*", "GET"), url) as answer:
                    assert answer.status == 404 or file == "editor.js", (method, end, answer.status)
                    assert SECRET not in (await answer.read()).decode(errors="replace")
