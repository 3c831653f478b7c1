"""Change a picture by saying what: the command, the menu, the buttons under a picture, and the ways back."""

from __future__ import annotations

from typing import Any

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from engine import Edit
from engine.api import metadata
from engine.fake import FakeEngine
from tests.delivery.test_provenance import file_of, xmp_of
from tests.e2e.screen import buttons, paint, picture, press, words
from tests.features.edit.conftest import png


async def edit(studio: Stage, who: str = "Ann", **options: Any) -> Any:
    result = await studio.members[who].slash(studio.channel, "edit", **options)
    await studio.idle()
    if result.response is not None and "Paint it" in buttons(result.response):
        await press(studio, result.response, "Paint it", who)
    return result


def said(result: Any) -> str:
    shown = [*result.followups, *([result.response] if result.response else [])]
    return shown[-1].content or words(shown[-1])


async def test_an_upload_is_changed_as_words_say(studio: Stage) -> None:
    result = await edit(studio, instruction="make the boat blue --seed 7", image=("boat.png", png()))
    assert "make the boat blue" in words(result.response)
    assert "Edit of an uploaded picture" in words(result.response)
    assert picture(studio, result.response).width > 0
    job = await studio.app.jobs.get(1)
    assert isinstance(job.spec.request, Edit)
    assert (job.spec.model, job.spec.seed, job.kind, job.charged_mc > 0) == ("editor", 7, "edit", True)


async def test_references_go_with_it_up_to_what_the_model_looks_at(studio: Stage) -> None:
    files = {f"reference{n}": (f"{n}.png", png("red")) for n in range(1, 5)}
    refused = await edit(studio, instruction="put the hat on", image=("boat.png", png()), **files)
    assert "can't look at 5 pictures" in said(refused)
    two = dict(list(files.items())[:2])
    await edit(studio, instruction="put the hat on", image=("boat.png", png()), **two)
    job = await studio.app.jobs.get(1)
    assert len(job.spec.request.pictures) == 3


async def test_the_button_asks_what_and_the_ways_lead_back(studio: Stage) -> None:
    grid = await paint(studio, "a red boat --seed 5")
    shown = (await press(studio, grid, "U2")).response
    form = await press(studio, shown, "Edit")
    result = await studio.members["Ann"].submit_modal(form, {"prompt": "make it night"})
    await studio.idle()
    changed = result.response
    assert "Edit of picture 2 of #1" in words(changed)
    assert "a red boat" not in words(changed), "the instruction is all the words there are"
    one = (await press(studio, changed, "U1")).response
    back = (await press(studio, one, "Undo")).response
    assert "a red boat" in words(back)
    beside = (await press(studio, one, "Compare", "Ben")).response
    after = picture(studio, one)
    assert picture(studio, beside).width > 2 * after.width


async def test_an_edit_of_an_upload_has_no_picture_of_ours_before_it(studio: Stage) -> None:
    result = await edit(studio, instruction="make it night --n 1", image=("boat.png", png()))
    assert "no picture of Easel's before this one" in said(await press(studio, result.response, "Undo"))
    beside = (await press(studio, result.response, "Compare")).response
    assert picture(studio, beside).width > 0
    assert metadata.COMPOSITE in xmp_of(file_of(studio, beside))


async def test_the_menu_edits_any_picture_of_a_message(studio: Stage) -> None:
    ann = studio.members["Ann"]
    message = await ann.send(studio.channel, "look", attachments=[("cat.png", png())])
    form = await ann.context_menu(studio.channel, "Edit", message)
    result = await ann.submit_modal(form, {"prompt": "as a robot"})
    await studio.idle()
    assert "as a robot" in words(result.response)


async def test_where_no_model_can_the_sentence_names_what_may_be_added(settings: Settings) -> None:
    async with stage(settings, make_engine=FakeEngine) as studio:
        grid = await paint(studio, "a red boat")
        assert "Edit" not in buttons((await press(studio, grid, "U1")).response)
        refused = said(await edit(studio, instruction="make it night", source="1.1"))
        assert "No model here can" in refused
        assert "FLUX.2 klein" in refused


async def test_reroll_and_remix_keep_the_picture(studio: Stage) -> None:
    result = await edit(studio, instruction="make it night --n 1", image=("boat.png", png()))
    again = (await press(studio, result.response, "🔄")).response
    assert "make it night" in words(again)
    first, second = [await studio.app.jobs.get(number) for number in (1, 2)]
    assert first.spec.inputs == second.spec.inputs
    assert first.spec.seed != second.spec.seed
