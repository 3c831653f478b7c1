"""/rewrite: what a language model made of one's words is shown, and changed before it's painted."""

from __future__ import annotations

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from engine.fake import ABILITIES, FakeEngine
from tests.e2e.screen import buttons, press, words
from tests.features.generate.test_edit_commands import asked, said


async def test_what_was_written_is_shown_and_can_be_changed(studio: Stage) -> None:
    shown = (await asked(studio, "rewrite", text="ein rotes Boot", into="translate")).response
    assert "ein rotes Boot, translate" in words(shown)
    assert shown.ephemeral
    assert not await studio.app.jobs.pending()
    form = await press(studio, shown, "Change and paint")
    done = await studio.members["Ann"].submit_modal(form, {"prompt": "a red boat"})
    await studio.idle()
    assert "a red boat" in words(done.response)
    assert (await studio.app.jobs.get(1)).spec.prompt == "a red boat"


async def test_an_instruction_is_for_edits(studio: Stage) -> None:
    shown = (await asked(studio, "rewrite", text="nice, but blue?", into="instruct")).response
    assert "nice, but blue?, instruct" in words(shown)
    assert not buttons(shown)


async def test_where_none_is_configured_the_sentence_says_so(settings: Settings) -> None:
    async with stage(settings, make_engine=lambda: FakeEngine(abilities=ABILITIES - {"rewrite"})) as studio:
        assert "can configure a prompt helper" in said(await asked(studio, "rewrite", text="a boat"))
