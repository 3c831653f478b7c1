"""The buttons under one picture: each makes what it says, today and after a restart, for its owner and for others."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.jobs.records import Job
from engine import Outpaint
from engine.api import metadata
from engine.fake import MINI, FakeEngine
from engine.tasks.resolve import picture_sha256
from tests.e2e.screen import agreed, buttons, paint, picture, press, words
from tests.features.moderation.test_moderation import _forged

EDITS = {
    "Upscale (2x)": "Upscale 2x (Lanczos) of picture 1 of #1",
    "Upscale (Creative)": "Upscale 2x (Creative) of picture 1 of #1",
    "Vary (Subtle)": "Variation of picture 1 of #1",
    "Vary (Strong)": "Variation of picture 1 of #1",
    "Zoom Out 1.5x": "Zoom Out 1.5x of picture 1 of #1",
    "Zoom Out 2x": "Zoom Out 2x of picture 1 of #1",
    "⬅️": "Pan left of picture 1 of #1",
    "➡️": "Pan right of picture 1 of #1",
    "⬆️": "Pan up of picture 1 of #1",
    "⬇️": "Pan down of picture 1 of #1",
}


async def alone(studio: Stage, who: str = "Ann", prompt: str = "a red boat --seed 100") -> Any:
    """One picture, as U1 shows it."""
    return (await press(studio, await paint(studio, prompt, who), "U1", who)).response


async def credits_of(studio: Stage, who: str = "Ann") -> int:
    balance = await studio.app.credits.balance(studio.members[who].id, studio.guild.id)
    return balance.free_mc + balance.paid_mc


async def job_of(studio: Stage, message: Any) -> Job:
    image_id = next(int(each.split(":")[2]) for each in buttons(message).values())
    return (await studio.app.jobs.image(image_id))[0]


async def pressed(studio: Stage, message: Any, label: str, who: str = "Ann") -> Any:
    """Press, agree to the price if it is asked about, and wait; the message of the new job."""
    shown = (await agreed(studio, await press(studio, message, label, who), who)).response
    assert shown is not None, label
    return shown


async def test_what_the_model_can_do_is_offered_in_the_order_people_know(studio: Stage) -> None:
    assert list(buttons(await alone(studio))) == [
        *("Upscale (2x)", "Upscale (Creative)", "Vary (Subtle)", "Vary (Strong)", "Vary (Region)"),
        *("Zoom Out 1.5x", "Zoom Out 2x", "Custom Zoom", "⬅️", "➡️", "⬆️", "⬇️"),
        *("Remix", "🔄", "Seed", "Delete", "Report"),
    ]


@pytest.mark.parametrize("label", EDITS)
async def test_each_button_says_what_it_did_and_to_which_picture(studio: Stage, label: str) -> None:
    shown = await alone(studio)
    before = await credits_of(studio)
    await studio.restart()
    result = await pressed(studio, shown, label)
    assert EDITS[label] in words(result)
    assert "a red boat" in words(result)
    job = await job_of(studio, result)
    assert (job.parent_job_id, job.charged_mc) == (1, before - await credits_of(studio))
    assert picture(studio, result).width >= 128


async def test_a_stranger_edits_with_their_own_credits(studio: Stage) -> None:
    shown = await alone(studio)
    before = await credits_of(studio)
    result = await pressed(studio, shown, "Zoom Out 2x", "Ben")
    assert await credits_of(studio) == before
    assert await credits_of(studio, "Ben") < studio.settings.credits_a_day * 1000
    assert (await job_of(studio, result)).user_id == studio.members["Ben"].id


# ---------------------------------------------------------------- what the pictures are
def borders(job: Any) -> tuple[Any, ...]:
    """The size of the picture that an outpaint began with, and the pixels at its left, right, top and bottom."""
    request = job.spec.request
    return request.init_image.size, request.left, request.right, request.top, request.bottom


async def test_zooming_out_keeps_the_size_and_shrinks_the_picture(studio: Stage) -> None:
    shown = await alone(studio)
    result = await pressed(studio, shown, "Zoom Out 2x")
    job = await job_of(studio, result)
    assert (job.spec.width, job.spec.height, job.spec.num_images) == (128, 128, 4)
    assert borders(job) == ((128, 128), 64, 64, 64, 64)
    small = picture(studio, shown).resize((64, 64), Image.Resampling.LANCZOS)
    inside = (48, 48, 80, 80)  # well inside what is kept
    kept = picture(studio, (await press(studio, result, "U1")).response).crop(inside)
    assert kept.tobytes() == small.crop((16, 16, 48, 48)).tobytes()


async def test_panning_keeps_every_pixel_of_the_picture(studio: Stage) -> None:
    shown = await alone(studio)
    result = (await press(studio, await pressed(studio, shown, "➡️"), "U2")).response
    wider = picture(studio, result)
    assert wider.size == (192, 128)
    kept = (0, 0, 100, 128)
    assert wider.crop(kept).tobytes() == picture(studio, shown).crop(kept).tobytes()


async def test_a_pan_is_not_offered_where_it_would_be_too_narrow(studio: Stage) -> None:
    shown = await paint(studio, "a boat --ar 4:1 --n 1")
    assert {"⬆️", "⬇️"} <= set(buttons(shown))
    assert not {"⬅️", "➡️"} & set(buttons(shown))


async def test_an_upscale_is_one_picture_that_can_be_edited_again(studio: Stage) -> None:
    larger = await pressed(studio, await alone(studio), "Upscale (2x)")
    assert picture(studio, larger).size == (256, 256)
    assert not {"Remix", "🔄", "Seed"} & set(buttons(larger)), "nothing was painted"
    assert "Upscale (2x)" in buttons(larger)
    near = await pressed(studio, larger, "Vary (Strong)")
    job = await job_of(studio, near)
    assert (job.spec.task, job.spec.strength, job.parent_job_id) == ("img2img", 0.65, 2)
    assert "Repainted at 128x128" in words(near)


async def test_an_edited_picture_is_varied_by_its_pixels(studio: Stage) -> None:
    zoomed = await pressed(studio, await alone(studio), "Zoom Out 2x")
    near = await job_of(studio, await pressed(studio, zoomed, "V2"))
    assert (near.spec.task, near.spec.strength, near.spec.prompt) == ("img2img", 0.35, "a red boat")
    image = (await studio.app.jobs.images(2))[1]
    stored = await studio.app.jobs.input_image(near.spec.init_image)
    files = studio.app.files
    first, second = [await files.read(path) for path in (image.path, stored.file.path)]
    assert opened(first).tobytes() == opened(second).tobytes()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


async def test_an_edit_is_made_again_from_the_recipe_in_its_png(studio: Stage) -> None:
    shown = await alone(studio)
    result = (await press(studio, await pressed(studio, shown, "⬆️"), "U3")).response
    data = studio.env.backend.cdn.get(result.attachments[0].url)
    recipe = metadata.decode(data)
    assert recipe is not None
    assert recipe.task == "outpaint"
    job = await job_of(studio, result)
    assert recipe.request["init_image"] == picture_sha256(picture(studio, shown))
    names = {"prompt", "seed", "top", "width", "height", "strength", "num_inference_steps", "guidance_scale"}
    said = {name: recipe.request[name] for name in names} | {"seed": recipe.seed}
    again = await studio.engine.submit(Outpaint(init_image=picture(studio, shown), **said), user="me").result()
    assert again[0].tobytes() == picture(studio, result).tobytes()
    assert job.spec.is_edit


# ---------------------------------------------------------------- doing it again
async def test_custom_zoom_asks_for_zoom_ratio_and_words(studio: Stage) -> None:
    shown = await alone(studio)
    form = await press(studio, shown, "Custom Zoom", "Ben")
    await studio.restart()
    done = await studio.members["Ben"].submit_modal(form, {"zoom": "1", "ratio": "3:2", "prompt": "a harbour --seed 3"})
    await studio.idle()
    job = await job_of(studio, done.response)
    assert (job.spec.width, job.spec.height, job.spec.prompt, job.spec.seed) == (192, 128, "a harbour", 3)
    assert "Outpaint of picture 1 of #1" in words(done.response)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"zoom": "1"}, "changes nothing"),
        ({"zoom": "9"}, "Use 1 to 4"),
        ({"zoom": "wide"}, "a number from 1 to 4"),
        ({"zoom": "2", "ratio": "3-2"}, "a ratio such as"),
        ({"zoom": "2", "ratio": "", "prompt": "x --size 512"}, "Leave out --size"),
    ],
)
async def test_a_custom_zoom_that_cannot_be_is_refused(studio: Stage, answer: dict[str, str], says: str) -> None:
    shown = await alone(studio)
    before = await credits_of(studio)
    done = await studio.members["Ann"].submit_modal(await press(studio, shown, "Custom Zoom"), answer)
    await studio.idle()
    assert says in said(done)
    assert await credits_of(studio) == before


async def test_remix_and_reroll_of_an_edit_keep_its_picture_and_parent(studio: Stage) -> None:
    zoomed = await pressed(studio, await alone(studio), "Zoom Out 2x")
    first = await job_of(studio, zoomed)
    again = await job_of(studio, await pressed(studio, zoomed, "🔄"))
    assert again.spec.seed != first.spec.seed
    form = await press(studio, zoomed, "Remix")
    fields = {row["components"][0]["custom_id"] for row in form.modal["components"]}
    assert fields == {"prompt", "negative", "seed", "steps"}
    done = await studio.members["Ann"].submit_modal(form, {"prompt": "a stormy sea", "seed": "7"})
    await studio.idle()
    remixed = await job_of(studio, done.response)
    assert (remixed.spec.prompt, remixed.spec.seed) == ("a stormy sea", 7)
    for job in (again, remixed):
        assert (job.kind, job.parent_job_id, borders(job)) == ("outpaint", 1, borders(first))
        assert job.spec.init_image == first.spec.init_image


async def test_an_edit_outlives_the_picture_it_was_made_from(studio: Stage) -> None:
    shown = await alone(studio)
    panned = await pressed(studio, shown, "⬅️")
    await studio.app.jobs.delete(1, studio.members["Ann"].id)
    again = await pressed(studio, panned, "🔄")
    assert "Pan left of a deleted picture" in words(again)
    refused = await press(studio, shown, "Upscale (2x)")
    assert "deleted" in said(refused)


async def test_a_failed_edit_costs_nothing_and_is_tried_again(studio: Stage) -> None:
    shown = await alone(studio)
    before = await credits_of(studio)
    form = await press(studio, shown, "Custom Zoom")
    done = await studio.members["Ann"].submit_modal(form, {"zoom": "2", "prompt": "!fail --n 1"})
    await studio.idle()
    assert "Nothing was charged" in words(done.response)
    assert list(buttons(done.response)) == ["Try again"]
    await studio.restart()
    tried = (await press(studio, done.response, "Try again")).response
    assert "Zoom Out 2x of picture 1 of #1" in words(tried)
    assert await credits_of(studio) == before


async def test_seed_says_how_to_make_an_edit_again(studio: Stage) -> None:
    zoomed = await pressed(studio, await alone(studio), "Zoom Out 2x")
    text = (await press(studio, zoomed, "Seed")).response.content
    assert "Picture 4: seed" in text
    assert "/imagine" not in text


async def test_history_and_show_name_the_edit(studio: Stage) -> None:
    await pressed(studio, await alone(studio), "Upscale (2x)")
    page = (await studio.members["Ann"].slash(studio.channel, "history")).response
    assert "Upscale 2x (Lanczos) of picture 1 of #1" in words(page)
    again = (await studio.members["Ben"].slash(studio.channel, "show", job=2)).response
    assert "Upscale 2x (Lanczos) of picture 1 of #1" in words(again)
    assert "Zoom Out 2x" in buttons(again)


# ---------------------------------------------------------------- who, and for how much
@pytest.mark.parametrize("label", [label for label in EDITS if label != "Upscale (2x)"])
async def test_without_credits_nothing_happens_and_nothing_is_charged(studio: Stage, label: str) -> None:
    shown = await alone(studio)
    await broke(studio, "Ben")
    refused = await press(studio, shown, label, "Ben")
    assert "credits" in said(refused)
    assert await studio.app.jobs.queue_length() == 0
    assert await studio.app.jobs.history(studio.members["Ben"].id, studio.guild.id) == []


async def broke(studio: Stage, who: str) -> None:
    """Nobody has anything to spend: settings are read at start."""
    studio.settings.credits_a_day = 0
    await studio.restart()


async def test_what_is_dear_says_its_price_and_waits_for_a_yes_of_the_same_person(studio: Stage) -> None:
    shown = await pressed(studio, await alone(studio), "Upscale (2x)")
    before = await credits_of(studio)
    asked = (await press(studio, shown, "Upscale (Creative)")).followups[-1]
    assert "**Upscale 2x (Creative)**\nThis makes **1 picture**, for **6.25 credits**" in words(asked)
    assert "> a red boat" in words(asked)
    assert asked.ephemeral
    assert await credits_of(studio) == before
    await studio.restart()
    for label in ("Paint it", "Not now"):
        assert "Only the person who asked" in said(await _forged(studio, "Ben", buttons(asked)[label]))
    done = await press(studio, asked, "Paint it")
    assert "Upscale 2x (Creative) of #2" in words(done.followups[0])
    assert not done.followups[0].ephemeral
    assert before - await credits_of(studio) == 6250


async def test_no_is_free(studio: Stage) -> None:
    shown = await pressed(studio, await alone(studio), "Upscale (2x)")
    before = await credits_of(studio)
    asked = (await press(studio, shown, "Upscale (Creative)")).followups[-1]
    await press(studio, asked, "Not now")
    assert "nothing was charged" in words(asked)
    assert await credits_of(studio) == before


async def test_a_private_picture_is_edited_in_private_and_by_its_owner_only(studio: Stage) -> None:
    grid = await paint(studio, "a red boat", private=True)
    shown = (await press(studio, grid, "U1")).response
    result = await pressed(studio, shown, "Zoom Out 2x")
    assert result.ephemeral
    stranger = await studio.members["Ben"].slash(studio.channel, "outpaint", source="1.1")
    assert "no such image" in said(stranger)


async def test_a_double_click_makes_one_job(studio: Stage) -> None:
    shown = await alone(studio)
    await press(studio, shown, "⬆️")
    again = await press(studio, shown, "⬆️")
    assert "The first press counts" in said(again)
    assert len(await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id)) == 2


def said(result: Any) -> str:
    shown = [*result.followups, *([result.response] if result.response else [])]
    return shown[-1].content or words(shown[-1])


async def test_a_private_question_becomes_a_private_picture(studio: Stage) -> None:
    grid = await paint(studio, "a red boat", private=True)
    larger = await pressed(studio, (await press(studio, grid, "U1")).response, "Upscale (2x)")
    asked = (await press(studio, larger, "Upscale (Creative)")).response
    assert asked.ephemeral
    await press(studio, asked, "Paint it")
    assert "Upscale 2x (Creative) of #2" in words(asked)
    assert studio.channel.history(viewer=studio.members["Ben"]) == []


async def test_only_what_the_model_can_do_is_offered(settings: Settings) -> None:
    talker = replace(MINI, key="talker", tasks=frozenset({"txt2img"}))
    async with stage(settings, make_engine=lambda: FakeEngine([talker, MINI])) as studio:
        shown = await alone(studio)
        assert list(buttons(shown)) == [
            *("Vary (Subtle)", "Vary (Strong)"),
            *("Remix", "🔄", "Seed", "Delete", "Report"),
        ]
        made = await studio.members["Ann"].slash(studio.channel, "outpaint", source="1.1", zoom=2.0)
        await studio.idle()
        job = await job_of(studio, made.response)
        assert (job.spec.model, job.spec.prompt) == ("mini", "a red boat"), "another one can"
