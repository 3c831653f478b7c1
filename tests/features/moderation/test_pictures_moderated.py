"""Pictures that a check objects to, and pictures that people like."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import discord
import pytest
from PIL import Image

from bot.demo.simulation import Stage
from bot.features.gallery.service import Stars
from engine.fake import FLAG_COLOUR
from tests.e2e.screen import a_minute_later, buttons, delete, paint, parts, press, words
from tests.e2e.test_conversation import credits_of
from tests.features.moderation.test_moderation import actions, admin, posts, read, said


@contextmanager
def aged(studio: Stage) -> Iterator[None]:
    """The channel is age-restricted, as the bot sees it; the simulated Discord knows no such thing."""
    channel = studio.bot.get_channel(studio.channel.id)
    assert isinstance(channel, discord.TextChannel)
    channel.nsfw = True
    try:
        yield
    finally:
        channel.nsfw = False


def files(studio: Stage) -> int:
    return len(list(studio.settings.images_dir.rglob("*.png")))


async def keeps(studio: Stage, count: int) -> None:
    """Wait until there are so many files: those that go do so after the message."""
    async with asyncio.timeout(60):
        while files(studio) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_flagged_pictures_are_withheld_unpaid_and_noted(studio: Stage) -> None:
    before = await credits_of(studio)
    message = await paint(studio, "a boat !flag")
    assert "withheld every picture" in words(message)
    assert "Nothing was charged" in words(message)
    assert not message.attachments
    assert await credits_of(studio) == before
    await keeps(studio, 0)
    assert await actions(studio) == ["image.withheld"]


async def test_only_the_flagged_share_comes_back(studio: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    _flag_first(studio, monkeypatch)
    before = await credits_of(studio)
    message = await paint(studio, "a boat")
    assert "withheld 1 of 4 pictures; not charged" in words(message)
    assert before - await credits_of(studio) == 3000
    assert [label for label in buttons(message) if label.startswith("U")] == ["U1", "U2", "U3"]
    await keeps(studio, 3)


def _flag_first(studio: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from bot.jobs.run import Run

    save = Run._save

    async def saving(run: Run, event: Any, *rest: Any) -> Any:
        return replace(await save(run, event, *rest), flagged=event.index == 0)

    monkeypatch.setattr(Run, "_save", saving)


async def test_age_restricted_channels_may_get_spoilers(studio: Stage) -> None:
    await admin(studio, "channels", spoiler=True)
    with aged(studio):
        message = await paint(studio, "a boat !flag")
        gallery = next(part for part in parts(message.components) if part["type"] == 12)
        assert gallery["items"][0]["spoiler"] is True
        assert (await press(studio, message, "U1")).response.attachments
    assert "made in an age-restricted channel" in said(await press(studio, message, "U1"))
    shown = await studio.members["Ann"].slash(studio.channel, "show", job=1)
    assert "made in an age-restricted channel" in said(shown)
    history = await studio.members["Ann"].slash(studio.channel, "history")
    assert not history.response.attachments
    assert "withheld" in words(await paint(studio, "a boat !flag"))


async def test_the_default_gate_judges_nothing_in_age_restricted_channels(studio: Stage) -> None:
    studio.engine._spares_adults = True  # type: ignore[attr-defined]
    with aged(studio):
        message = await paint(studio, "a boat !flag")
        assert message.attachments
        assert "withheld" not in words(message)
        source = ("a.png", flagged_upload())
        asked = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat", image=source)
        await studio.idle()
        assert "safety check" not in said(asked)
    assert await actions(studio) == []
    assert "withheld every picture" in words(await paint(studio, "a boat !flag"))


async def test_words_for_age_restricted_channels_only(studio: Stage) -> None:
    await admin(studio, "words", action="add", word="peg", rule="age")
    with aged(studio):
        assert (await paint(studio, "a peg")).attachments
    refused = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a peg")
    assert "can only be used in age-restricted channels" in said(refused)


def flagged_upload() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), FLAG_COLOUR).save(out, "PNG")
    return out.getvalue()


async def test_flagged_uploads_are_refused_and_not_kept(studio: Stage) -> None:
    source = ("a.png", flagged_upload())
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat", image=source)
    await studio.idle()
    assert "safety check flagged this image" in said(result)
    await keeps(studio, 0)
    assert await actions(studio) == ["upload.refused"]


async def test_flagged_previews_are_not_shown(studio: Stage) -> None:
    studio.engine.step_s = 0.1  # type: ignore[attr-defined]
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat !flag")
    seen = []
    while await studio.app.jobs.pending():
        seen.append(len(result.response.attachments))
        await asyncio.sleep(0.05)
    assert set(seen) == {0}


# ------------------------------------------------------------------ stars
async def with_gallery(studio: Stage, stars: int = 2) -> Any:
    channel = studio.guild.create_text_channel("gallery")
    await admin(studio, "channels", gallery=channel, stars=stars)
    return channel


def star(message: Any) -> str:
    """The star button's label, as it is now."""
    return next(label for label, press_id in buttons(message).items() if press_id.startswith("v1:st:"))


async def test_enough_stars_bring_a_picture_into_the_gallery_once(studio: Stage) -> None:
    channel = await with_gallery(studio)
    message = await paint(studio, "a red boat")
    assert star(message) == "⭐"
    await press(studio, message, star(message), "Ben")
    assert star(message) == "1"
    await press(studio, message, star(message), "Ben")
    assert star(message) == "⭐"
    await press(studio, message, star(message), "Ben")
    await studio.restart()
    await press(studio, message, star(message), "Ada")
    assert star(message) == "2"
    assert message.attachments
    post = await posts(channel, "a red boat")
    assert post.attachments
    for _ in range(2):
        await press(studio, message, star(message), "Ada")
    assert len(channel.history()) == 1
    assert (await studio.members["Ben"].click(post, custom_id=buttons(read(post))["Show"])).acknowledged


async def test_a_deleted_picture_leaves_the_gallery(studio: Stage) -> None:
    channel = await with_gallery(studio, stars=1)
    message = await paint(studio, "a red boat")
    await press(studio, message, "⭐", "Ben")
    assert len(channel.history()) == 1
    await delete(studio, message)
    assert len(channel.history()) == 1
    await a_minute_later(studio)
    assert channel.history() == []


async def test_who_deletes_their_data_leaves_the_gallery_too(studio: Stage) -> None:
    channel = await with_gallery(studio, stars=1)
    await press(studio, await paint(studio, "a red boat"), "⭐", "Ben")
    kept = await paint(studio, "a blue boat", "Ben")
    await press(studio, kept, "⭐", "Ann")
    asked = (await studio.members["Ann"].slash(studio.channel, "privacy delete")).response
    await press(studio, asked, next(label for label in buttons(asked) if "elete" in label))
    assert ["a blue boat" in words(read(post)) for post in channel.history()] == [True]
    assert star(kept) == "1"  # the message shows what it showed; the count is read anew at the next press
    await press(studio, kept, "1", "Ada")
    assert star(kept) == "1"


async def test_a_private_pictures_star_is_a_favourite_and_no_vote(studio: Stage) -> None:
    from tests.features.moderation.test_moderation import _forged

    channel = await with_gallery(studio, stars=1)
    message = await paint(studio, "a red boat", private=True)
    pressed = await press(studio, message, "⭐")
    assert "favourites" in said(pressed)
    assert star(message) == "⭐"
    assert channel.history() == []
    assert "no such image" in said(await _forged(studio, "Ben", "v1:st:1"))


async def test_two_at_once_get_one_right_to_post(studio: Stage) -> None:
    await with_gallery(studio, stars=1)
    await paint(studio, "a red boat")
    stars: Stars = studio.app.stars
    job = await studio.app.jobs.get(1)
    rights = await asyncio.gather(*(stars.claim(job, 5) for _ in range(5)))
    assert len([right for right in rights if right is not None]) == 1


async def test_without_a_gallery_a_star_is_a_favourite(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    assert "favourites now" in said(await press(studio, message, "⭐", "Ben"))
    assert star(message) == "⭐"
    assert "Taken off" in said(await press(studio, message, "⭐", "Ben"))
