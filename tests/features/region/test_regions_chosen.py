"""Redrawing a part of a picture: by a mask, a scribble, words, cells; from a command, a button, a menu; by whom."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from bot.demo.simulation import Stage
from bot.errors import NotYours
from bot.prompt.spec import Spec
from tests.e2e.screen import a_minute_later, agreed, buttons, delete, paint, parts, picture, press, words


def png(image: Image.Image, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def boat(size: tuple[int, int] = (96, 64)) -> Image.Image:
    image = Image.new("RGB", size, (40, 90, 160))
    ImageDraw.Draw(image).rectangle((20, 20, 60, 50), fill=(230, 200, 40))
    return image


def box_mask(box: tuple[int, int, int, int], size: tuple[int, int] = (96, 64)) -> Image.Image:
    mask = Image.new("L", size, 0)
    mask.paste(255, box)
    return mask


async def inpaint(studio: Stage, who: str = "Ann", **options: Any) -> Any:
    result = await studio.members[who].slash(studio.channel, "inpaint", **{"prompt": "a red boat", **options})
    assert result.acknowledged
    await studio.idle()
    return await agreed(studio, result, who)


def said(result: Any) -> str:
    shown = [*result.followups, *([result.response] if result.response else [])]
    return shown[-1].content or words(shown[-1])


async def job_of(studio: Stage, message: Any) -> Any:
    job, _ = await studio.app.jobs.image(int(buttons(message)["U1"].split(":")[2]))
    return job


async def mask_of(studio: Stage, spec: Spec) -> Image.Image:
    row = await studio.app.jobs.input_image(spec.request.mask.sha256)
    return Image.open(io.BytesIO(await studio.app.files.read(row.file.path))).convert("L")


async def redrawn(studio: Stage, message: Any) -> tuple[int, int, int, int] | None:
    """Where the job redraws, in pixels of its picture; it must be a grid of four of the picture's size."""
    job = await job_of(studio, message)
    assert (job.kind, job.spec.task, job.spec.num_images) == ("inpaint", "inpaint", 4)
    mask = await mask_of(studio, job.spec)
    source = await studio.app.jobs.input_image(job.spec.init_image)
    assert mask.size == (source.width, source.height) == (job.spec.width, job.spec.height)
    assert mask.getbbox() == job.spec.request.mask.box
    return mask.getbbox()


async def credits_of(studio: Stage, who: str = "Ann") -> int:
    balance = await studio.app.credits.balance(studio.members[who].id, studio.guild.id)
    return balance.free_mc + balance.paid_mc


# ---------------------------------------------------------------- the command
async def test_white_of_a_mask_is_redrawn_and_the_rest_stays(studio: Stage) -> None:
    original = boat()
    result = await inpaint(
        studio, image=("boat.png", png(original)), mask=("mask.png", png(box_mask((10, 10, 40, 30))))
    )
    assert await redrawn(studio, result.response) == (10, 10, 40, 30)
    alone = picture(studio, (await press(studio, result.response, "U1")).response)
    feather = (await job_of(studio, result.response)).spec.request.feather_px
    far = np.ones((64, 96), dtype=bool)
    far[10 - feather : 30 + feather, 10 - feather : 40 + feather] = False
    before, after = np.asarray(original), np.asarray(alone)
    assert (before[far] == after[far]).all()
    assert (before[12:28, 12:38] != after[12:28, 12:38]).any()


async def test_transparent_parts_are_redrawn_as_mask_or_in_the_picture_itself(studio: Stage) -> None:
    holed = boat().convert("RGBA")
    holed.putalpha(box_mask((50, 5, 90, 25)).point([255] * 128 + [0] * 128))
    by_mask = await inpaint(studio, image=("boat.png", png(boat())), mask=("mask.png", png(holed)))
    assert await redrawn(studio, by_mask.response) == (50, 5, 90, 25)
    by_itself = await inpaint(studio, image=("boat.png", png(holed)))
    assert await redrawn(studio, by_itself.response) == (50, 5, 90, 25)
    assert not by_itself.response.ephemeral


async def test_what_was_scribbled_over_is_redrawn(studio: Stage) -> None:
    original = boat((320, 240))
    over = original.copy()
    ImageDraw.Draw(over).ellipse((200, 20, 280, 90), fill=(255, 0, 200))
    result = await inpaint(studio, image=("boat.png", png(original)), painted=("over.jpg", png(over, "JPEG")))
    left, top, right, bottom = await redrawn(studio, result.response) or (0, 0, 0, 0)
    assert max(abs(left - 200), abs(top - 20), abs(right - 280), abs(bottom - 90)) <= 6


@pytest.mark.parametrize(
    ("text", "box"), [("top right", (48, 0, 96, 32)), ("25,50,50,50", (24, 32, 72, 64)), ("Left third", (0, 0, 32, 64))]
)
async def test_a_region_in_words_is_redrawn(studio: Stage, text: str, box: tuple[int, int, int, int]) -> None:
    result = await inpaint(studio, image=("boat.png", png(boat())), region=text)
    assert await redrawn(studio, result.response) == box


async def test_a_thing_is_found_and_redrawn(studio: Stage) -> None:
    result = await inpaint(studio, image=("boat.png", png(boat())), what="the boat")
    left, top, right, bottom = await redrawn(studio, result.response) or (0, 0, 0, 0)
    assert max(abs(left - 20), abs(top - 20), abs(right - 61), abs(bottom - 51)) <= 2


async def test_without_a_model_that_finds_things_one_is_told(studio: Stage) -> None:
    studio.engine._abilities = frozenset()  # type: ignore[attr-defined]
    result = await inpaint(studio, image=("boat.png", png(boat())), what="the boat")
    assert len(said(result)) > 20
    assert "ref" not in said(result)
    assert await credits_of(studio) == studio.settings.credits_a_day * 1000


async def test_the_picture_may_be_named_by_its_job(studio: Stage) -> None:
    await paint(studio, "a green boat --no fog")
    result = await inpaint(studio, source="1.2", region="left")
    job = await job_of(studio, result.response)
    assert job.spec.negative_prompt == "fog"
    assert job.parent_image_id == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mask": ("m.png", png(Image.new("L", (96, 64), 0)))}, "empty"),
        ({"mask": ("m.png", png(Image.new("L", (96, 64), 255)))}, "whole picture"),
        ({"mask": ("m.png", png(Image.new("L", (64, 64), 255)))}, "64x64"),
        ({"mask": ("m.png", b"not a picture")}, "isn't a picture"),
        ({"painted": ("p.png", png(boat()))}, "the same"),
        ({"painted": ("p.png", png(boat((64, 96))))}, "without cropping"),
        ({"region": "somewhere"}, "top right"),
        ({"region": "left", "what": "the boat"}, "give one"),
        ({"region": "left", "prompt": "a boat --foo"}, "--foo"),
        ({"region": "left", "strength": 0.0}, "strength"),
    ],
)
async def test_what_cannot_be_used_gets_a_sentence_and_costs_nothing(
    studio: Stage, options: dict[str, Any], says: str
) -> None:
    result = await inpaint(studio, image=("boat.png", png(boat())), **options)
    assert says in said(result)
    assert "ref" not in said(result)
    assert await credits_of(studio) == studio.settings.credits_a_day * 1000


async def test_without_a_picture_one_is_asked_for_it(studio: Stage) -> None:
    assert "Attach a picture" in said(await inpaint(studio, region="left"))


async def test_without_credits_nothing_is_redrawn(studio: Stage) -> None:
    result = await inpaint(studio, image=("boat.png", png(boat((512, 512)))), region="left", prompt="a boat --steps 60")
    assert "credits" in said(result)
    assert await studio.app.jobs.queue_length() == 0


# ---------------------------------------------------------------- the chooser
async def chooser(studio: Stage, who: str = "Ann") -> tuple[Any, Any]:
    """A picture alone, and what Vary (Region) under it shows."""
    grid = await paint(studio, "a green boat")
    alone = (await press(studio, grid, "U1")).response
    return alone, (await press(studio, alone, "Vary (Region)", who)).response


async def submitted(studio: Stage, shown: Any, answer: dict[str, Any], who: str = "Ann") -> Any:
    result = await studio.members[who].submit_modal(shown, answer)
    assert result.acknowledged
    await studio.idle()
    return result


def fields(shown: Any) -> dict[str, Any]:
    return {row["component"]["custom_id"]: row["component"].get("value") for row in shown.modal["components"]}


def lit(message: Any) -> list[str]:
    return [part["label"] for part in parts(message.components) if part["type"] == 2 and part.get("style") == 1]


@pytest.mark.parametrize("restart", [False, True])
async def test_cells_are_pressed_and_painted_also_after_a_restart(studio: Stage, restart: bool) -> None:
    _, chosen = await chooser(studio)
    assert chosen.ephemeral
    await press(studio, chosen, "Cells")
    await press(studio, chosen, "1")
    if restart:
        await studio.restart()
    before = picture(studio, chosen).tobytes()
    await press(studio, chosen, "2")
    await press(studio, chosen, "9")
    await press(studio, chosen, "9")
    assert lit(chosen) == ["1", "2"]
    assert picture(studio, chosen).tobytes() != before
    shown = await press(studio, chosen, "Paint")
    assert fields(shown) == {"prompt": None}
    if restart:
        await studio.restart()
    done = await submitted(studio, shown, {"prompt": "a green boat with a flag"})
    info = studio.engine.models()[0]
    assert await redrawn(studio, done.response) == (0, 0, round(info.width * 2 / 3), round(info.height / 3))
    assert not done.response.ephemeral
    assert (await job_of(studio, done.response)).parent_image_id == 1


async def test_five_by_five_cells_fit_a_message(studio: Stage) -> None:
    _, chosen = await chooser(studio)
    await press(studio, chosen, "Cells")
    await press(studio, chosen, "5 x 5")
    assert len(list(parts(chosen.components))) <= 40
    await press(studio, chosen, "25")
    assert lit(chosen) == ["25"]
    done = await submitted(studio, await press(studio, chosen, "Paint"), {"prompt": "a flag"})
    info = studio.engine.models()[0]
    box = (round(info.width * 0.8), round(info.height * 0.8), info.width, info.height)
    assert await redrawn(studio, done.response) == box
    await press(studio, chosen, "3 x 3")
    assert lit(chosen) == []
    await press(studio, chosen, "Back")
    assert "Paint over" in buttons(chosen)


async def test_nothing_is_painted_without_a_cell(studio: Stage) -> None:
    _, chosen = await chooser(studio)
    await press(studio, chosen, "Cells")
    paint_button = next(part for part in parts(chosen.components) if part.get("label") == "Paint")
    assert paint_button["disabled"]


async def test_the_picture_painted_over_is_taken_by_a_form(studio: Stage) -> None:
    alone, chosen = await chooser(studio)
    shown = await press(studio, chosen, "Paint over")
    await studio.restart()
    over = picture(studio, alone).resize((256, 256))
    ImageDraw.Draw(over).rectangle((20, 30, 99, 119), fill="black")
    done = await submitted(studio, shown, {"painted": ("over.png", png(over)), "prompt": "a flag"})
    left, top, right, bottom = await redrawn(studio, done.response) or (0, 0, 0, 0)
    assert max(abs(left - 10), abs(top - 15), abs(right - 50), abs(bottom - 60)) <= 3


@pytest.mark.parametrize(("where", "found"), [("bottom", True), ("the boat", True), ("1,2,3", False)])
async def test_a_form_takes_places_and_things(studio: Stage, where: str, found: bool) -> None:
    _, chosen = await chooser(studio)
    shown = await press(studio, chosen, "By words")
    done = await submitted(studio, shown, {"where": where, "prompt": "a flag"})
    if found:
        assert await redrawn(studio, done.response)
    else:
        assert "top right" in said(done)


async def test_a_bad_scribble_gets_a_sentence_and_may_be_tried_again(studio: Stage) -> None:
    alone, chosen = await chooser(studio)
    before = await credits_of(studio)
    same = png(picture(studio, alone))
    done = await submitted(
        studio, await press(studio, chosen, "Paint over"), {"painted": ("same.png", same), "prompt": "a flag"}
    )
    assert "Scribble over" in said(done)
    assert await credits_of(studio) == before
    assert (await press(studio, chosen, "Paint over")).modal is not None


async def test_a_member_may_redraw_anothers_public_picture_with_own_credits(studio: Stage) -> None:
    _, chosen = await chooser(studio, "Ben")
    before = await credits_of(studio), await credits_of(studio, "Ben")
    done = await submitted(
        studio, await press(studio, chosen, "By words", "Ben"), {"where": "left", "prompt": "a flag"}, "Ben"
    )
    assert await redrawn(studio, done.response)
    assert await credits_of(studio) == before[0]
    assert await credits_of(studio, "Ben") < before[1]


async def test_a_stranger_cannot_choose_for_somebody_else(studio: Stage) -> None:
    _, chosen = await chooser(studio)
    shown = await press(studio, chosen, "By words")
    await press(studio, chosen, "Cells")
    choosing, ben = studio.app.region_selection, studio.members["Ben"].id
    with pytest.raises(NotYours):
        await choosing.press(1, 0, ben)
    assert (await choosing.get(1, studio.members["Ann"].id)).cells == frozenset()
    assert shown.modal is not None


async def test_a_private_pictures_region_stays_private(studio: Stage) -> None:
    grid = await paint(studio, "a green boat", private=True)
    alone = (await press(studio, grid, "U1")).response
    chosen = (await press(studio, alone, "Vary (Region)")).response
    done = await submitted(studio, await press(studio, chosen, "By words"), {"where": "left", "prompt": "a flag"})
    assert done.response.ephemeral
    assert (await job_of(studio, done.response)).private


async def test_deleting_a_picture_ends_its_chooser(studio: Stage) -> None:
    grid = await paint(studio, "a green boat")
    alone = (await press(studio, grid, "U1")).response
    chosen = (await press(studio, alone, "Vary (Region)")).response
    await delete(studio, grid)
    await a_minute_later(studio)
    assert "has expired" in said(await press(studio, chosen, "By words"))


# ---------------------------------------------------------------- words for all of it, a part that is small
@pytest.mark.parametrize(("pressed", "close_up"), [("Paint it", True), ("Whole picture in view", False)])
async def test_words_for_the_whole_picture_in_a_small_part_are_asked_about(
    studio: Stage, pressed: str, close_up: bool
) -> None:
    grid = await paint(studio, "a green boat on the sea")
    chosen = (await press(studio, (await press(studio, grid, "U1")).response, "Vary (Region)")).response
    left = await credits_of(studio)
    form = await press(studio, chosen, "By words")
    asked = await submitted(studio, form, {"where": "60,0,40,40", "prompt": "a green boat on the sea, and a star"})
    question = asked.followups[-1] if asked.followups else asked.response
    assert question.ephemeral
    assert "squeezed" in words(question)
    assert await credits_of(studio) == left
    done = await press(studio, question, pressed)
    shown = next((message for message in done.followups if message.attachments), question)
    assert (await job_of(studio, shown)).spec.request.only_masked == close_up


@pytest.mark.parametrize(("where", "prompt"), [("60,0,40,40", "a star"), ("left", "a green boat on the sea at night")])
async def test_words_for_the_part_and_large_parts_are_painted_at_once(studio: Stage, where: str, prompt: str) -> None:
    grid = await paint(studio, "a green boat on the sea")
    chosen = (await press(studio, (await press(studio, grid, "U1")).response, "Vary (Region)")).response
    done = await submitted(studio, await press(studio, chosen, "By words"), {"where": where, "prompt": prompt})
    assert await redrawn(studio, done.response)


# ---------------------------------------------------------------- other ways to the chooser
async def test_without_a_region_the_command_asks_for_one(studio: Stage) -> None:
    asked = await inpaint(studio, image=("boat.png", png(boat())), strength=0.5)
    assert asked.response.ephemeral
    shown = await press(studio, asked.response, "By words")
    assert fields(shown)["prompt"] == "a red boat --strength 0.5"
    done = await submitted(studio, shown, {"where": "left", "prompt": "a red boat --strength 0.5"})
    assert (await job_of(studio, done.response)).spec.strength == 0.5


async def test_the_menu_works_on_a_picture_of_ours_and_on_an_upload(studio: Stage) -> None:
    alone, _ = await chooser(studio)
    ours = await studio.members["Ben"].context_menu(studio.channel, "Edit region", alone.message)
    assert fields(await press(studio, ours.response, "By words", "Ben"))["prompt"] is None
    upload = await studio.members["Ben"].send(studio.channel, "look", attachments=[("boat.png", png(boat()))])
    theirs = await studio.members["Ann"].context_menu(studio.channel, "Edit region", upload)
    assert theirs.response.ephemeral
    done = await submitted(
        studio, await press(studio, theirs.response, "By words"), {"where": "left", "prompt": "a flag"}
    )
    assert await redrawn(studio, done.response) == (0, 0, 48, 64)


async def test_the_menu_on_a_grid_asks_for_one_picture(studio: Stage) -> None:
    grid = await paint(studio, "a green boat")
    result = await studio.members["Ann"].context_menu(studio.channel, "Edit region", grid.message)
    assert "Press U1 to U4" in said(result)
