"""Every way to an edit, by everybody: the command, the menu, the button, and the answer to a picture."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import discord
import pytest

from bot.demo.simulation import Stage
from bot.kit.interactions import DoubleClicks
from bot.store.clock import ManualClock
from engine import Edit
from tests.e2e.screen import paint, press, words
from tests.features.edit.conftest import png
from tests.features.edit.test_edit_by_words import edit, said
from tests.features.edit.test_talking import say
from tests.features.generate.test_picture_inputs import HAVE, PROXY

NIGHT = "make it night"
Way = Callable[[Stage, Any, str], Awaitable[str]]


async def by_command(studio: Stage, shown: Any, who: str) -> str:
    return said(await edit(studio, who, instruction=NIGHT, source="1.2"))


async def by_button(studio: Stage, shown: Any, who: str) -> str:
    pressed = await press(studio, shown, "Edit", who)
    return await _filled(studio, pressed, who)


async def by_menu(studio: Stage, shown: Any, who: str) -> str:
    form = await studio.members[who].context_menu(studio.channel, "Edit", shown.message)
    return await _filled(studio, form, who)


async def by_reply(studio: Stage, shown: Any, who: str) -> str:
    studio.bot.clicks = DoubleClicks(ManualClock(studio.app.clock.now_ms()))  # nobody is that fast
    return words(await say(studio, f"@Easel {NIGHT}", who, reply_to=shown.message))


async def _filled(studio: Stage, form: Any, who: str) -> str:
    """What the form led to, or what was said in its place."""
    if form.modal is None:
        return said(form)
    result = await studio.members[who].submit_modal(form, {"prompt": NIGHT})
    await studio.idle()
    return said(result)


WAYS: dict[str, Way] = {"command": by_command, "button": by_button, "menu": by_menu, "reply": by_reply}


async def a_picture(studio: Stage) -> Any:
    """The second picture of Ann's job 1, alone."""
    return (await press(studio, await paint(studio, "a red boat"), "U2")).response


@pytest.mark.parametrize("way", WAYS)
async def test_its_owner_and_other_members_change_it_also_after_a_restart(studio: Stage, way: str) -> None:
    shown = await a_picture(studio)
    for who in ("Ann", "Ben"):
        assert "Edit of picture 2 of #1" in await WAYS[way](studio, shown, who)
    await studio.restart()
    assert "Edit of picture 2 of #1" in await WAYS[way](studio, shown, "Ben")
    jobs = [await studio.app.jobs.get(number) for number in (2, 3, 4)]
    assert [job.user_id for job in jobs] == [studio.members[who].id for who in ("Ann", "Ben", "Ben")]
    assert all(isinstance(job.spec.request, Edit) and job.charged_mc > 0 for job in jobs)


@pytest.mark.parametrize("way", WAYS)
async def test_the_banned_and_the_poor_read_why_not_and_nothing_is_painted(studio: Stage, way: str) -> None:
    everyone = studio.guild.default_role
    await studio.members["Ada"].slash(studio.channel, "admin quota", role=everyone, credits_a_day=5)
    shown = await a_picture(studio)
    assert "credit" in await WAYS[way](studio, shown, "Ann")
    await studio.members["Ada"].slash(studio.channel, "admin ban", user=studio.members["Ben"])
    assert "can't use Easel" in await WAYS[way](studio, shown, "Ben")
    assert len(await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id)) == 1
    assert not await studio.app.jobs.history(studio.members["Ben"].id, studio.guild.id)


async def test_a_picture_of_a_channel_that_one_cannot_read_is_refused(studio: Stage) -> None:
    hidden, open_ = discord.PermissionOverwrite(read_messages=False), discord.PermissionOverwrite(read_messages=True)
    overwrites = {studio.guild.default_role: hidden, studio.members["Ann"]: open_, studio.guild.me: open_}
    secret = studio.guild.create_text_channel("secret", overwrites=overwrites)
    await studio.members["Ann"].slash(secret, "imagine", prompt="a secret")
    await studio.idle()
    message = next(each for each in secret.history() if each.author.id == studio.bot.user.id)
    link = f"https://discord.com/channels/{studio.guild.id}/{secret.id}/{message.id}"
    for source in ("1.2", link):
        answer = said(await edit(studio, "Ben", instruction=NIGHT, source=source))
        assert "can't find" in answer or "no such image" in answer, answer
    refused = said(await edit(studio, "Ben", instruction=NIGHT, source="2.1", references="1.2"))
    assert "secret" not in refused
    assert not await studio.app.jobs.history(studio.members["Ben"].id, studio.guild.id)
    assert "Edit of picture 2 of #1" in said(await edit(studio, "Ann", instruction=NIGHT, source="1.2"))


async def test_a_private_picture_is_changed_in_private_only(studio: Stage) -> None:
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a secret", private=True)
    await studio.idle()
    assert result.response is not None
    answer = await edit(studio, instruction=NIGHT, source="1.1")
    assert (await studio.app.jobs.get(2)).private
    assert "Edit of picture 1 of #1" in said(answer)
    assert "no such image" in said(await edit(studio, "Ben", instruction=NIGHT, source="1.1"))


async def test_in_a_thread(studio: Stage) -> None:
    shown = await a_picture(studio)
    backend = studio.env.backend
    thread = backend.create_thread(studio.channel.id, "boats", studio.members["Ann"].id)
    place = next(each for each in studio.channel.threads if each.id == thread.id)
    result = await studio.members["Ann"].slash(place, "edit", instruction=NIGHT, source="1.2")
    await studio.idle()
    assert "Edit of picture 2 of #1" in said(result)
    before = {message.id for message in place.history()}
    await studio.members["Ben"].send(place, f"<@{studio.bot.user.id}> a blue boat")
    await studio.idle()
    new = [each for each in place.history() if each.id not in before and each.author.id == studio.bot.user.id]
    assert (await studio.app.jobs.get(3)).channel_id == thread.id
    assert new[-1].attachments
    assert shown.message.channel.id != thread.id
    one = (await press(studio, result.response, "U1")).response
    pressed = await press(studio, one, "Edit", "Ben")
    assert "Edit of picture 1 of #2" in await _filled(studio, pressed, "Ben")
    studio.bot.clicks = DoubleClicks(ManualClock(studio.app.clock.now_ms()))  # nobody is that fast
    form = await studio.members["Ben"].context_menu(place, "Edit", one.message)
    assert "Edit of picture 1 of #2" in await _filled(studio, form, "Ben")
    studio.bot.clicks = DoubleClicks(ManualClock(studio.app.clock.now_ms()))
    await studio.members["Ben"].send(place, f"<@{studio.bot.user.id}> {NIGHT}", reply_to=one.message)
    await studio.idle()
    jobs = [await studio.app.jobs.get(number) for number in (4, 5, 6)]
    assert all(job.channel_id == thread.id and isinstance(job.spec.request, Edit) for job in jobs)
    assert [job.parent_image_id for job in jobs] == [jobs[0].parent_image_id] * 3


@pytest.mark.parametrize("way", ["button", "menu", "reply"])
async def test_a_picture_that_was_deleted_meanwhile_is_said_to_be_gone(studio: Stage, way: str) -> None:
    shown = await a_picture(studio)
    await studio.app.jobs.delete(1, studio.members["Ann"].id)
    assert "deleted" in await WAYS[way](studio, shown, "Ben")


@pytest.mark.parametrize("own", [True, False], ids=["a picture of ours", "somebody's file"])
async def test_a_message_that_was_deleted_meanwhile_is_said_to_be_gone(studio: Stage, own: bool) -> None:
    """It's still there when somebody replies to it, and gone when that is read."""
    if own:
        message = (await a_picture(studio)).message
    else:
        message = await studio.members["Ben"].send(studio.channel, "my cat", attachments=[("cat.png", png())])
    count = len(await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id))

    def gone(event: str, payload: dict[str, Any]) -> None:
        if payload.get("message_reference"):
            payload["referenced_message"] = None  # as Discord has it then

    studio.env.backend.subscribers.insert(0, gone)
    studio.env.inject_error("GET", f"/channels/*/messages/{message.id}", status=404, code=10008)
    answer = await say(studio, f"@Easel {NIGHT}", reply_to=message)
    assert "The message you replied to is gone" in words(answer)
    assert len(await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id)) == count, "nor painted anew"


@pytest.mark.parametrize("name", ["gif", "20 megapixels"])
async def test_pictures_as_people_have_them(studio: Stage, name: str) -> None:
    filename, data, note = HAVE[name]
    result = await edit(studio, instruction=NIGHT, image=(filename, data))
    assert result.response.attachments, said(result)
    assert note in words(result.response)
    answered = await say(studio, f"@Easel {NIGHT}", "Ben", attachments=[(filename, data)])
    assert answered.attachments, words(answered)
    assert note in words(answered)
    message = await studio.members["Ben"].send(studio.channel, "look", attachments=[(filename, data)])
    form = await studio.members["Ann"].context_menu(studio.channel, "Edit", message)
    result = await studio.members["Ann"].submit_modal(form, {"prompt": NIGHT})
    await studio.idle()
    assert note in words(result.response)


async def test_a_link_to_a_message_or_to_a_file(studio: Stage) -> None:
    message = await studio.members["Ben"].send(studio.channel, "look", attachments=[HAVE["gif"][:2]])
    link = f"https://discord.com/channels/{studio.guild.id}/{studio.channel.id}/{message.id}"
    studio.env.backend.cdn._blobs[f"{PROXY}?format=webp&quality=lossless&animated=false"] = png()
    for source in (link, PROXY):
        studio.bot.clicks = DoubleClicks(ManualClock(studio.app.clock.now_ms()))
        result = await edit(studio, instruction=NIGHT, source=source)
        assert "Edit of an uploaded picture" in said(result)
    assert "couldn't find an image" in said(await edit(studio, instruction=NIGHT, source="https://example.org/a.png"))


async def test_a_mention_in_direct_messages(studio: Stage) -> None:
    """The rules of the servers that they share hold there; what doesn't mention it is left alone."""
    ann = studio.members["Ann"]
    easel = f"<@{studio.bot.user.id}>"
    for text, painted in (("a red boat", 0), (f"{easel} a red boat --n 1", 1)):
        await ann.send_dm(text)
        await studio.idle()
        assert len(await studio.app.jobs.history(ann.id, 0)) == painted
    shown = [each for each in ann.user.dm_channel.history() if each.author.id == studio.bot.user.id][-1]
    assert shown.attachments
    assert "a red boat" in str(shown.components)
    studio.bot.clicks = DoubleClicks(ManualClock(studio.app.clock.now_ms()))
    await ann.send_dm(
        f"{easel} {NIGHT}", attachments=studio.env.backend.store_attachments(shown.channel.id, [("a.png", png())])
    )
    await studio.idle()
    assert isinstance((await studio.app.jobs.get(2)).spec.request, Edit)
    await studio.members["Ada"].slash(studio.channel, "admin ban", user=ann)
    studio.bot.clicks = DoubleClicks(ManualClock(studio.app.clock.now_ms()))
    await ann.send_dm(f"{easel} another boat")
    await studio.idle()
    assert len(await studio.app.jobs.history(ann.id, 0)) == 2
