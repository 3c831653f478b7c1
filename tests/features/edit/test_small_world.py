"""Mini's editor knows a small world: what it would make blobs of is asked about first, whichever way it was said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.kit.interactions import DoubleClicks
from bot.store.clock import ManualClock
from engine import Edit, mini
from engine.fake import MINI, FakeEngine
from tests.e2e.screen import buttons, paint, picture, press, words
from tests.engine.editing import editors
from tests.features.edit.conftest import EDITOR, png
from tests.features.edit.test_edit_by_words import edit, said
from tests.features.edit.test_talking import say
from tests.features.edit.test_who_may_edit import WAYS

SMALL = replace(MINI, small_world=True)
SMALL_EDITOR = replace(EDITOR, key=mini.EDITOR, small_world=True, edited_pictures=1)


@pytest.fixture
async def demo(settings: Settings) -> AsyncIterator[Stage]:
    """What an install without any setting has."""
    async with stage(settings, make_engine=lambda: FakeEngine((SMALL, SMALL_EDITOR))) as running:
        yield running
        await running.idle()


async def a_picture(studio: Stage) -> Any:
    """The second picture of Ann's job 1, alone."""
    return (await press(studio, await paint(studio, "a red boat"), "U2")).response


def refusal(result: Any) -> Any:
    """The message with the ways to go on."""
    shown = [*result.followups, *([result.response] if result.response else [])]
    return next(each for each in shown if "Paint it anyway" in buttons(each))


@pytest.mark.parametrize("way", WAYS)
async def test_each_way_leads_to_it_on_what_mini_painted(demo: Stage, way: str) -> None:
    shown = await a_picture(demo)
    assert "Edit of picture 2 of #1" in await WAYS[way](demo, shown, "Ann")
    job = await demo.app.jobs.get(2)
    assert (job.spec.model, job.charged_mc) == (mini.EDITOR, 4000), "a credit a picture"
    assert "Edit of picture 1 of #2" in said(await edit(demo, instruction="make it blue", source="2.1"))


async def test_unknown_words_get_three_instructions_that_work(demo: Stage) -> None:
    await a_picture(demo)
    asked = refusal(await edit(demo, instruction="give it a dragon", source="1.2"))
    assert asked.ephemeral
    assert "mini-edit doesn't know 'give' or 'dragon'" in asked.content
    *offers, anyway = buttons(asked)
    assert (len(offers), anyway) == (3, "Paint it anyway")
    assert all(not mini.unknown_words(offer, edits=True) for offer in offers)
    assert len(await demo.app.jobs.history(demo.members["Ann"].id, demo.guild.id)) == 1
    await demo.restart()
    made = (await press(demo, asked, offers[1])).response
    assert offers[1] in words(made)
    assert "Edit of picture 2 of #1" in words(made)
    job = await demo.app.jobs.get(2)
    assert isinstance(job.spec.request, Edit)
    assert job.spec.prompt == offers[1]
    made = (await press(demo, asked, anyway)).response
    assert "give it a dragon" in words(made)
    assert "Mini does not know 'give' or 'dragon'. It can do this:" in words(made).replace("\\", "")


async def test_nobody_else_presses_what_was_offered_in_public(demo: Stage) -> None:
    shown = await a_picture(demo)
    asked = await say(demo, "@Easel give it a dragon", reply_to=shown.message)
    offer = next(iter(buttons(asked)))
    assert "Only the person who asked" in said(await press(demo, asked, offer, "Ben"))
    assert len(await demo.app.jobs.history(demo.members["Ben"].id, demo.guild.id)) == 0
    demo.bot.clicks = DoubleClicks(ManualClock(demo.app.clock.now_ms()))
    assert offer in words((await press(demo, asked, offer)).response)


async def test_other_pictures_are_not_its_world(demo: Stage) -> None:
    asked = refusal(await edit(demo, instruction="make it night", image=("photo.png", png())))
    assert "only knows what Mini paints" in asked.content
    assert "FLUX.2 klein" in asked.content
    assert list(buttons(asked)) == ["Paint it anyway"]
    assert not await demo.app.jobs.history(demo.members["Ann"].id, demo.guild.id)
    assert "Edit of an uploaded picture" in words((await press(demo, asked, "Paint it anyway")).response)


async def test_where_another_editor_is_that_one_changes_pictures(settings: Settings) -> None:
    known = FakeEngine((SMALL, EDITOR, SMALL_EDITOR))
    async with stage(settings, make_engine=lambda: known) as studio:
        await a_picture(studio)
        assert "Edit of picture" in said(await edit(studio, instruction="give it a dragon", source="1.2"))
        assert (await studio.app.jobs.get(2)).spec.model == EDITOR.key
        await edit(studio, instruction="make it night", image=("photo.png", png()))
        assert (await studio.app.jobs.get(3)).spec.model == EDITOR.key


async def test_who_only_edits_is_offered_where_pictures_are_edited_only(demo: Stage) -> None:
    ann = demo.members["Ann"]
    choices = [each["name"] for each in await ann.autocomplete(demo.channel, "imagine", "model", "")]
    assert [choice.partition(" ")[0] for choice in choices] == ["mini", "mini-edit"]
    shown = words((await ann.slash(demo.channel, "models")).response)
    assert "**mini-edit**" in shown
    assert "make the boat blue" in shown
    panel = (await ann.slash(demo.channel, "settings")).response
    assert "mini-edit" not in str(panel.components)


async def test_an_install_without_any_setting_paints_and_changes(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine itself: Mini, and its editor before it has learned anything."""
    monkeypatch.setattr(mini, "EDITOR_DIR", editors.of_mini(tmp_path))
    async with stage(settings) as studio:
        shown = await paint(studio, "a red boat --n 1 --steps 1")
        form = await press(studio, shown, "Edit")
        result = await studio.members["Ann"].submit_modal(form, {"prompt": "make it night --n 1 --steps 1"})
        await studio.idle()
        assert "make it night" in words(result.response)
        assert picture(studio, result.response).size == (256, 256)
        assert (await studio.app.jobs.get(2)).spec.model == mini.EDITOR
