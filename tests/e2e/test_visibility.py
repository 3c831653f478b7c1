"""Nobody gets to a picture in a channel that they can't read: not by number, link, completion, button or page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import discord
import pytest
from aiohttp import ClientSession
from simcord.backend.errors import OptionError
from simcord.backend.models import Overwrite
from simcord.enums import OverwriteType

from bot.config import Settings
from bot.delivery import layouts
from bot.demo.simulation import Stage, stage
from bot.features.region.editor_service import SEEN_MS
from bot.jobs.records import Job
from bot.kit.button import Button
from bot.kit.custom_ids import Action, ButtonId, SelectId
from bot.kit.select import Select, row_of
from engine.fake import FakeEngine
from tests.e2e.screen import a_minute_later, paint, press
from tests.e2e.test_matrix import BROKEN
from tests.features.generate.test_options import file
from tests.features.moderation.test_moderation import admin, said
from tests.features.region.test_mask_editor import form, link_of, marked, post

SECRET = "zebra"
HIDDEN = discord.PermissionOverwrite(view_channel=False)
OPEN = discord.PermissionOverwrite(view_channel=True, read_message_history=True, send_messages=True, attach_files=True)
NUMBERS = discord.AppCommandOptionType.integer, discord.AppCommandOptionType.string


@dataclass
class House:
    """A server where Ben and Cara share a hidden room and an age-restricted one, and Ann is in neither of them."""

    studio: Stage
    hidden: Any
    adult: Any
    jobs: list[Job]

    @contextmanager
    def adults(self) -> Iterator[None]:
        """The room is age-restricted, as the bot sees it; the simulated Discord knows no such thing."""
        channel: Any = self.studio.bot.get_channel(self.adult.id)
        channel.nsfw = True
        try:
            yield
        finally:
            channel.nsfw = False

    async def secrets(self) -> list[int]:
        """The images that Ann must not get at."""
        return [image.id for job in self.jobs for image in await self.studio.app.jobs.images(job.id)]

    def links(self) -> list[str]:
        messages = [message for channel in (self.hidden, self.adult) for message in channel.history()]
        return [f"https://discord.com/channels/{self.studio.guild.id}/{m.channel.id}/{m.id}" for m in messages]

    async def get_out(self) -> None:
        """Nothing secret was shown to Ann or made from what is."""
        for message in self.studio.channel.history(viewer=self.studio.members["Ann"]):
            assert SECRET not in f"{message.content}{[each.to_dict() for each in message.components]}"
        mine = await self.studio.app.jobs.history(self.studio.members["Ann"].id, self.studio.guild.id, limit=500)
        kept = {await self._stored(image) for image in await self.secrets()}
        assert not [job for job in mine if job.parent_job_id or kept.intersection(job.spec.inputs)]

    async def _stored(self, image_id: int) -> str:
        _, image = await self.studio.app.jobs.image(image_id)
        return image.sha256


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0, web_address="auto", web_port=0)
    async with stage(settings, ("Ann", "Ben", "Cara"), make_engine=FakeEngine) as studio:
        ben, cara = studio.members["Ben"], studio.members["Cara"]
        closed = {studio.guild.default_role: HIDDEN, ben: OPEN, cara: OPEN, studio.bot.user: OPEN}
        built = House(studio, studio.guild.create_text_channel("hidden", overwrites=closed), None, [])
        built.adult = studio.guild.create_text_channel("adult")
        with built.adults():
            for channel, options in ((built.hidden, {}), (built.adult, {}), (studio.channel, {"private": True})):
                prompt = f"a {SECRET} --n 2"
                assert (await ben.slash(channel, "imagine", prompt=prompt, **options)).acknowledged
                await studio.idle()
        built.jobs = await studio.app.jobs.history(ben.id, studio.guild.id)
        assert [job.aged for job in built.jobs] == [False, True, False]
        yield built
        await studio.idle()
        assert await studio.app.store.problems() == []


def commands(house: House) -> Iterator[discord.app_commands.Command[Any, ..., Any]]:
    for command in house.studio.bot.tree.walk_commands():
        if isinstance(command, discord.app_commands.Command) and not command.qualified_name.startswith("admin "):
            yield command


def needed(command: Any, house: House) -> dict[str, Any]:
    """A value for each option that must be given."""
    kinds = discord.AppCommandOptionType
    values = {kinds.string: "2", kinds.integer: 1, kinds.number: 1.0, kinds.boolean: True}
    values |= {kinds.user: house.studio.members["Ben"], kinds.attachment: ("a.png", file())}
    given = [each for each in command.parameters if each.required]
    chosen = {each.name: each.choices[0].value if each.choices else values[each.type] for each in given}
    return {**chosen, **({"prompt": "a boat"} if "prompt" in chosen else {})}


async def test_no_command_takes_a_number_or_a_link_there(house: House) -> None:
    ann, tried = house.studio.members["Ann"], 0
    for command in commands(house):
        for option in command.parameters:
            if option.type not in NUMBERS or option.choices:
                continue
            names = [job.id for job in house.jobs]
            if option.type is discord.AppCommandOptionType.string:
                names = [f"{job.id}.1" for job in house.jobs] + house.links()
            for name in names:
                given = {**needed(command, house), option.name: name}
                try:
                    answer = await ann.slash(house.studio.channel, command.qualified_name, **given)
                except OptionError:  # Discord itself takes no such value
                    continue
                await house.studio.idle()
                assert SECRET not in said(answer), (command.qualified_name, option.name, name)
                assert BROKEN not in said(answer), (command.qualified_name, option.name, name)
                tried += 1
    assert tried > 100
    await house.get_out()


async def test_no_completion_offers_them(house: House) -> None:
    asked = 0
    for command in commands(house):
        for option in command.parameters:
            if not option.autocomplete:
                continue
            for who in ("Ann", "Ben"):  # to Ben his own, but what was made among adults only there
                found = await house.studio.members[who].autocomplete(
                    house.studio.channel, command.qualified_name, option.name, "", **needed(command, house)
                )
                numbers = {str(each["value"]).split(".")[0] for each in found if SECRET in each["name"]}
                own = {str(job.id) for job in house.jobs if not job.aged}
                assert numbers <= (own if who == "Ben" else set()), (command.qualified_name, option.name)
                asked += 1
    assert asked > 6


async def test_no_button_select_or_form_reaches_them(house: House) -> None:
    studio, ann = house.studio, house.studio.members["Ann"]
    there = studio.bot.get_partial_messageable(studio.channel.id)
    for action in Action:
        for number in (*(job.id for job in house.jobs), *await house.secrets()):
            button = Button(ButtonId(action, number), "press")
            message = await there.send(view=layouts.notice("forged", button))
            answer = await ann.click(message, custom_id=str(ButtonId(action, number)))
            assert answer.acknowledged, action
            assert SECRET not in f"{said(answer)}{answer.modal or ''}", action
            await studio.idle()
    for action in Action:
        view = layouts.notice("forged")
        view.add_item(row_of(Select.text(SelectId(action, house.jobs[0].id), [("one", "1")], placeholder="one")))
        message = await there.send(view=view)
        answer = await ann.select(message, ["1"], custom_id=str(SelectId(action, house.jobs[0].id)))
        assert SECRET not in said(answer), action
    assert [len(await studio.app.jobs.images(job.id)) for job in house.jobs] == [2, 2, 2]
    await house.get_out()


async def test_those_who_can_read_the_channel_see_them(house: House) -> None:
    hidden = next(job for job in house.jobs if job.channel_id == house.hidden.id)
    adult = next(job for job in house.jobs if job.aged)
    cara, ben = house.studio.members["Cara"], house.studio.members["Ben"]
    for channel in (house.hidden, house.studio.channel):  # she can read both
        assert SECRET in said(await cara.slash(channel, "show", job=hidden.id))
    with house.adults():
        assert SECRET in said(await cara.slash(house.adult, "show", job=adult.id))
        for who in (cara, ben):
            assert "age-restricted" in said(await who.slash(house.studio.channel, "show", job=adult.id))


async def test_what_must_not_be_shown_can_still_be_taken_away(house: House) -> None:
    adult = next(job for job in house.jobs if job.aged)
    image = (await house.studio.app.jobs.images(adult.id))[0]
    there = house.studio.bot.get_partial_messageable(house.adult.id)  # no longer age-restricted
    message = await there.send(view=layouts.notice("old", Button(ButtonId(Action.DELETE, image.id), "Delete")))
    for action in (Action.DELETE, Action.DELETE_YES):
        await house.studio.members["Ben"].click(message, custom_id=str(ButtonId(action, image.id)))
    await a_minute_later(house.studio)
    assert await house.studio.app.jobs.images(adult.id) == []


def closed_to(member: Any) -> Overwrite:
    deny = discord.Permissions(view_channel=True)
    return Overwrite(target_id=member.id, type=OverwriteType.MEMBER, allow=0, deny=deny.value)


async def test_a_link_to_the_editor_ends_with_the_right_to_see(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    studio, cara = house.studio, house.studio.members["Cara"]
    public = await paint(studio, "a green boat", "Ben")
    alone = (await press(studio, public, "U1", "Cara")).response
    link = link_of((await press(studio, alone, "Vary (Region)", "Cara")).response)
    async with ClientSession() as session:
        async with session.get(link) as page:
            assert page.status == 200
        studio.env.backend.set_overwrite(studio.channel.id, closed_to(cara))
        later = studio.app.clock.now_ms() + SEEN_MS + 1
        monkeypatch.setattr(studio.app.clock, "now_ms", lambda: later)
        for end in ("", "/picture"):
            async with session.get(link + end) as page:
                assert page.status == 404
    status, _ = await post(link, form(marked()))
    assert status == 422
    assert await studio.app.jobs.history(cara.id, studio.guild.id) == []


async def test_the_gallery_shows_nothing_to_more_people_than_its_channel(house: House) -> None:
    studio = house.studio
    gallery = studio.guild.create_text_channel("gallery")
    assert "Changed" in await admin(studio, "channels", gallery=gallery, stars=1)
    with house.adults():
        for channel in (house.hidden, house.adult):
            message = next(each for each in channel.history() if each.attachments)
            job = next(job for job in house.jobs if job.channel_id == channel.id)
            await (
                studio.bot.get_partial_messageable(channel.id)
                .get_partial_message(message.id)
                .edit(view=layouts.notice("stars", Button(ButtonId(Action.STAR, job.id), "star")), attachments=[])
            )
            answer = await studio.members["Cara"].click(message, custom_id=str(ButtonId(Action.STAR, job.id)))
            assert answer.acknowledged
            await studio.idle()
            assert await studio.app.stars.count(job, await studio.app.jobs.images(job.id)) == 1
    assert gallery.history() == []
