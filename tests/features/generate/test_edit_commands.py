"""/vary, /upscale, /outpaint, /blend and their menus: on uploads, on links and job numbers, and what they refuse."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from bot.demo.simulation import Stage
from bot.jobs.records import Job
from tests.e2e.screen import agreed, buttons, paint, picture, press, words


def png(width: int = 96, height: int = 64, colour: str = "teal", form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, form)
    return out.getvalue()


async def asked(studio: Stage, command: str, who: str = "Ann", **options: Any) -> Any:
    result = await studio.members[who].slash(studio.channel, command, **options)
    assert result.acknowledged
    await studio.idle()
    return await agreed(studio, result, who)


def said(result: Any) -> str:
    shown = [*result.followups, *([result.response] if result.response else [])]
    return shown[-1].content or words(shown[-1])


async def credits_of(studio: Stage, who: str = "Ann") -> int:
    balance = await studio.app.credits.balance(studio.members[who].id, studio.guild.id)
    return balance.free_mc + balance.paid_mc


async def job_of(studio: Stage, message: Any) -> Job:
    image_id = next(int(each.split(":")[2]) for each in buttons(message).values())
    return (await studio.app.jobs.image(image_id))[0]


@pytest.mark.parametrize(
    ("command", "options", "says"),
    [
        ("vary", {"prompt": "a boat"}, "Variation of an uploaded picture"),
        ("vary", {"strength": "0.2"}, "strength 0"),
        ("upscale", {}, "Upscale 2x (Lanczos) of an uploaded picture"),
        ("upscale", {"scale": 4, "mode": "creative", "prompt": "a boat"}, "Upscale 4x (Creative)"),
        ("outpaint", {"direction": "left"}, "Pan left of an uploaded picture"),
        ("outpaint", {"zoom": 2.0, "prompt": "a boat --cfg 9"}, "cfg 9"),
        ("outpaint", {}, "Zoom Out 1.5x of an uploaded picture"),
        ("outpaint", {"ratio": "1:1"}, "Outpaint of an uploaded picture"),
    ],
)
async def test_an_upload_is_edited(studio: Stage, command: str, options: dict[str, Any], says: str) -> None:
    result = await asked(studio, command, image=("boat.png", png()), **options)
    assert says in words(result.response)
    assert (await job_of(studio, result.response)).charged_mc > 0
    assert picture(studio, result.response).width > 0


async def test_a_job_number_names_a_picture_and_gives_its_words(studio: Stage) -> None:
    await paint(studio, "a red boat --seed 5 --cfg 3")
    result = await asked(studio, "outpaint", source="1.2", direction="down")
    job = await job_of(studio, result.response)
    assert (job.spec.prompt, job.spec.guidance_scale, job.parent_job_id) == ("a red boat", 3.0, 1)
    assert "Pan down of picture 2 of #1" in words(result.response)
    assert "U1" in said(await asked(studio, "upscale", source="1"))


async def test_a_message_link_names_a_picture(studio: Stage) -> None:
    shown = (await press(studio, await paint(studio), "U1")).response
    link = f"https://discord.com/channels/{studio.guild.id}/{studio.channel.id}/{shown.id}"
    result = await asked(studio, "upscale", "Ben", source=link)
    assert "Upscale 2x (Lanczos) of picture 1 of #1" in words(result.response)


async def test_varying_ours_without_words_is_what_its_button_does(studio: Stage) -> None:
    await paint(studio, "a red boat --seed 5")
    near = await asked(studio, "vary", source="1.1", strength="subtle")
    assert [share for _, share in (await job_of(studio, near.response)).spec.variations] == [0.15]
    other = await asked(studio, "vary", source="1.1", strength="subtle", prompt="a blue boat")
    job = await job_of(studio, other.response)
    assert (job.spec.task, job.spec.prompt, job.spec.strength) == ("img2img", "a blue boat", 0.35)


async def test_outpainting_to_another_ratio_only_adds_sides(studio: Stage) -> None:
    result = await asked(studio, "outpaint", image=("boat.png", png(96, 64)), ratio="3:1")
    job = await job_of(studio, result.response)
    assert (job.spec.width, job.spec.height) == (192, 64)
    assert (job.spec.request.top, job.spec.request.left) == (0, 48)


async def test_pictures_are_blended_by_weights(studio: Stage) -> None:
    files = {"image1": ("a.png", png(96, 64)), "image2": ("b.jpg", png(50, 50, "red", "JPEG"))}
    result = await asked(studio, "blend", **files, weights="2, 1", prompt="a boat")
    assert "Blend of 2 pictures" in words(result.response)
    job = await job_of(studio, result.response)
    assert job.spec.request.weights == (2.0, 1.0)
    assert job.spec.width > job.spec.height
    again = (await press(studio, result.response, "🔄")).response
    assert (await job_of(studio, again)).spec.evolve(seed=job.spec.seed) == job.spec


@pytest.mark.parametrize(
    ("command", "options", "says"),
    [
        ("vary", {}, "Attach a picture"),
        ("vary", {"source": "nonsense"}, "couldn't find an image"),
        ("vary", {"source": "99"}, "can't find that job"),
        ("vary", {"image": ("a.png", b"nothing")}, "isn't a picture that I can read"),
        ("vary", {"image": ("a.png", png()), "strength": "much"}, "0.01 to 1"),
        ("vary", {"image": ("a.png", png()), "prompt": "{a, b}"}, "one job"),
        ("vary", {"image": ("a.png", png()), "prompt": "a --foo"}, "no flag"),
        ("upscale", {"image": ("a.png", png(8000, 300))}, "twice that can't be kept"),
        ("upscale", {"image": ("a.png", png()), "prompt": "a --ar 3:2"}, "comes from the picture"),
        ("outpaint", {"image": ("a.png", png()), "direction": "up", "zoom": 2.0}, "not both"),
        ("outpaint", {"image": ("a.png", png()), "ratio": "3:2"}, "changes nothing"),
        ("outpaint", {"image": ("a.png", png()), "ratio": "9:1"}, "1:4 to 4:1"),
        ("blend", {"image1": ("a.png", png()), "image2": ("b.png", png()), "weights": "1"}, "2 numbers"),
        ("blend", {"image1": ("a.png", png()), "image2": ("b.png", png()), "weights": "0 0"}, "not all 0"),
        ("blend", {"image1": ("a.png", png()), "image2": ("b.svg", b"<svg>")}, "read SVG files"),
    ],
)
async def test_refusals_are_sentences_and_free(studio: Stage, command: str, options: dict[str, Any], says: str) -> None:
    result = await asked(studio, command, **options)
    assert says in said(result)
    assert await studio.app.jobs.queue_length() == 0
    assert await credits_of(studio) == studio.settings.credits_a_day * 1000


async def test_what_is_too_large_is_made_to_fit_and_says_so(studio: Stage) -> None:
    result = await asked(studio, "vary", image=("a.png", png(1200, 800)), prompt="a boat")
    assert "Repainted at 160x104" in words(result.response)
    result = await asked(studio, "outpaint", image=("a.png", png(900, 600)), prompt="a boat --n 1")
    assert "New parts were painted at 6" in words(result.response)
    four = await asked(studio, "upscale", image=("a.png", png(1100, 1100)), scale=4)
    assert "made 2x" in words(four.response)


# ---------------------------------------------------------------- menus
async def posted(studio: Stage, who: str = "Ben") -> Any:
    """A picture that a member posted."""
    return await studio.members[who].send(studio.channel, "look", attachments=[("cat.png", png())])


async def menu(studio: Stage, name: str, message: Any, answers: dict[str, str], who: str = "Ann") -> Any:
    shown = await studio.members[who].context_menu(studio.channel, name, message)
    assert shown.modal is not None
    done = await studio.members[who].submit_modal(shown, answers)
    await studio.idle()
    return done


@pytest.mark.parametrize("restart", [False, True])
async def test_the_menus_edit_what_anybody_posted(studio: Stage, restart: bool) -> None:
    message = await posted(studio)
    shown = await studio.members["Ann"].context_menu(studio.channel, "Vary", message)
    if restart:
        await studio.restart()
    done = await studio.members["Ann"].submit_modal(shown, {"strength": "strong", "prompt": "a cat"})
    await studio.idle()
    assert "Variation of an uploaded picture" in words(done.response)
    job = await job_of(studio, done.response)
    assert (job.spec.strength, job.spec.prompt) == (0.65, "a cat")
    shown = await studio.members["Ann"].context_menu(studio.channel, "Upscale", message)
    if restart:
        await studio.restart()
    larger = await studio.members["Ann"].submit_modal(shown, {"scale": "4", "mode": "faithful", "prompt": ""})
    await studio.idle()
    assert picture(studio, larger.response).size == (384, 256)


async def test_the_menus_know_our_own_pictures(studio: Stage) -> None:
    grid = await paint(studio, "a red boat --seed 5")
    refused = await studio.members["Ben"].context_menu(studio.channel, "Vary", grid.message)
    assert "U1 to U4" in refused.response.content
    alone = (await press(studio, grid, "U2")).response
    near = await menu(studio, "Vary", alone.message, {"strength": "subtle", "prompt": "a red boat"}, "Ben")
    job = await job_of(studio, near.response)
    assert (job.parent_job_id, len(job.spec.variations)) == (1, 1)
    larger = await menu(studio, "Upscale", alone.message, {"scale": "2", "mode": "creative", "prompt": "a ship"}, "Ben")
    job = await job_of(studio, larger.response)
    assert (job.spec.prompt, job.spec.task, job.user_id) == ("a ship", "upscale", studio.members["Ben"].id)


async def test_a_menu_on_a_message_without_a_picture_says_so(studio: Stage) -> None:
    message = await studio.members["Ben"].send(studio.channel, "just words")
    refused = await studio.members["Ann"].context_menu(studio.channel, "Upscale", message)
    assert "can't find a picture" in refused.response.content


async def test_a_bad_file_behind_a_menu_gets_a_sentence(studio: Stage) -> None:
    message = await studio.members["Ben"].send(studio.channel, "look", attachments=[("cat.png", b"nothing")])
    shown = await studio.members["Ann"].context_menu(studio.channel, "Vary", message)
    assert "isn't a picture that I can read" in shown.followups[-1].content
    done = await studio.members["Ann"].submit_modal(shown, {"strength": "subtle"})
    assert "menu again" in done.response.content


async def test_nobody_answers_a_form_for_somebody_else_or_without_credits(studio: Stage) -> None:
    message = await posted(studio)
    studio.settings.credits_a_day = 0
    await studio.restart()
    shown = await studio.members["Ann"].context_menu(studio.channel, "Vary", message)
    done = await studio.members["Ann"].submit_modal(shown, {"strength": "subtle", "prompt": "a cat"})
    await studio.idle()
    assert "credits" in said(done)
    assert await studio.app.jobs.queue_length() == 0


async def test_an_upload_that_tells_its_words_keeps_them(studio: Stage) -> None:
    alone = (await press(studio, await paint(studio, "a red boat --no fog"), "U1")).response
    file = studio.env.backend.cdn.get(alone.attachments[0].url)
    result = await asked(studio, "outpaint", image=("boat.png", file), direction="up")
    job = await job_of(studio, result.response)
    assert (job.spec.prompt, job.spec.negative_prompt, job.parent_image_id) == ("a red boat", "fog", None)
    message = await studio.members["Ben"].send(studio.channel, "look", attachments=[("boat.png", file)])
    near = await menu(studio, "Vary", message, {"strength": "strong", "prompt": "a blue boat"})
    job = await job_of(studio, near.response)
    assert (job.spec.prompt, job.spec.negative_prompt) == ("a blue boat", "")
