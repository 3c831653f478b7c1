"""Delete asks once; what was deleted can be had back whole for a minute, whatever happens in between."""

from __future__ import annotations

from typing import Any

from bot.demo.simulation import Stage
from bot.features.generate import deleting
from bot.jobs.records import Job
from tests.e2e.screen import a_minute_later, buttons, delete, paint, picture, press, words
from tests.features.moderation.test_moderation import said


async def jobs(studio: Stage) -> list[Job]:
    return await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id)


def files(studio: Stage) -> list[Any]:
    return list(studio.settings.images_dir.rglob("*.png"))


async def test_nothing_is_deleted_before_the_yes(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    before = buttons(message)
    asked = (await press(studio, message, "Delete")).response
    assert "Delete these 4 pictures" in words(asked)
    assert asked.attachments
    assert list(buttons(asked)) == ["Yes, delete", "Keep"]
    for label in buttons(asked):
        assert "Only the person who asked" in said(await press(studio, asked, label, "Ben"))
    kept = (await press(studio, asked, "Keep")).response
    assert buttons(kept) == before
    assert len(await jobs(studio)) == 1


async def test_what_is_undone_is_whole_also_after_a_restart(studio: Stage) -> None:
    message = await paint(studio, "a red boat --seed 7")
    before, seen, (job,) = buttons(message), picture(studio, message).tobytes(), await jobs(studio)
    deleted = (await delete(studio, message)).response
    assert not deleted.attachments
    assert await jobs(studio) == []
    await studio.restart()
    await deleting.finish(studio.bot, studio.app)
    stranger = await press(studio, deleted, "Undo", "Ben")
    assert "can't be undone" in stranger.response.content
    again = (await press(studio, deleted, "Undo")).response
    assert (buttons(again), picture(studio, again).tobytes()) == (before, seen)
    assert await jobs(studio) == [job]
    assert (await press(studio, again, "U1")).response.attachments
    await a_minute_later(studio)
    assert await jobs(studio) == [job]


async def test_after_a_minute_it_is_gone_with_its_files_and_its_message(studio: Stage) -> None:
    deleted = (await delete(studio, await paint(studio, "a red boat"))).response
    assert files(studio)
    await a_minute_later(studio)
    assert (files(studio), studio.channel.history()) == ([], [])
    assert await studio.app.store.read(lambda db: [tuple(row) for row in db.execute("SELECT spec FROM job")]) == [
        ("{}",)
    ]
    assert deleted is not None


async def test_a_private_one_is_deleted_and_had_back_too(studio: Stage) -> None:
    message = await paint(studio, "a red boat", private=True)
    again = (await press(studio, (await delete(studio, message)).response, "Undo")).response
    assert again.ephemeral
    await delete(studio, again)
    await a_minute_later(studio)
    assert files(studio) == []


async def test_who_wants_to_be_forgotten_is_so_within_that_minute(studio: Stage) -> None:
    await delete(studio, await paint(studio, "a secret boat"))
    gone = await studio.app.privacy.forget(studio.members["Ann"].id)
    assert (gone.jobs, files(studio)) == (1, [])
    assert await studio.app.store.read(lambda db: db.execute("SELECT count(*) FROM deletion").fetchone()[0]) == 0
