"""The slash command's own options: pictures to start from, and lists that complete what one types."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from bot.demo.simulation import Stage
from tests.e2e.screen import buttons, paint, press, words


def file(width: int = 96, height: int = 64, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(out, form)
    return out.getvalue()


async def spec_of(studio: Stage, message: object) -> object:
    job, _ = await studio.app.jobs.image(int(buttons(message)["U1"].split(":")[2]))
    return job.spec


async def test_a_picture_to_start_from_is_kept_and_gives_its_shape(studio: Stage) -> None:
    message = await paint(studio, "a blue boat", image=("boat.png", file(96, 64)), strength=0.5)
    spec = await spec_of(studio, message)
    assert (spec.task, spec.strength) == ("img2img", 0.5)
    assert spec.width > spec.height
    assert spec.init_image is not None


async def test_variations_and_remixes_keep_the_picture_they_started_from(studio: Stage) -> None:
    message = await paint(studio, "a blue boat", image=("boat.jpg", file(form="JPEG")))
    first = await spec_of(studio, message)
    await studio.restart()
    neighbours = (await press(studio, message, "V1")).response
    assert (await spec_of(studio, neighbours)).init_image == first.init_image
    shown = await press(studio, message, "Remix")
    remixed = await studio.members["Ann"].submit_modal(shown, {"prompt": "a green boat"})
    await studio.idle()
    assert (await spec_of(studio, remixed.response)).init_image == first.init_image


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("boat.png", b"not a picture"),
        ("boat.png", file()[:100]),
        ("boat.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)),
        ("boat.png", b""),
    ],
)
async def test_a_bad_attachment_gets_a_sentence_and_costs_nothing(studio: Stage, name: str, data: bytes) -> None:
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat", image=(name, data))
    await studio.idle()
    assert result.acknowledged
    said = [*result.followups, *([result.response] if result.response else [])]
    assert len(said[-1].content) > 20
    assert "ref" not in said[-1].content
    balance = await studio.app.credits.balance(studio.members["Ann"].id, studio.guild.id)
    assert balance.free_mc == studio.settings.credits_a_day * 1000


async def test_strength_without_a_picture_is_refused(studio: Stage) -> None:
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat", strength=0.4)
    assert "Attach" in result.response.content


@pytest.mark.parametrize(
    ("option", "typed", "offers"),
    [("aspect", "16", "16:9"), ("scheduler", "karr", "dpmpp_2m_karras"), ("model", "mi", "mini")],
)
async def test_long_lists_complete_what_one_types(studio: Stage, option: str, typed: str, offers: str) -> None:
    choices = await studio.members["Ann"].autocomplete(studio.channel, "imagine", option, typed)
    assert offers in [choice["value"] for choice in choices]


async def test_options_and_flags_say_the_same(studio: Stage) -> None:
    by_option = await paint(studio, "a boat", seed=3, steps=5, aspect="3:2", negative="fog", scheduler="Euler a")
    by_flag = await paint(studio, "a boat --seed 3 --steps 5 --ar 3:2 --no fog --scheduler euler_a")
    assert await spec_of(studio, by_option) == await spec_of(studio, by_flag)
    assert words(by_option) == words(by_flag)


async def test_the_tenth_job_waits_and_the_eleventh_is_refused(studio: Stage) -> None:
    studio.engine.step_s = 2.0  # type: ignore[attr-defined]  # so long that no job ends while the others are asked for
    ann = studio.members["Ann"]
    results = [await ann.slash(studio.channel, "imagine", prompt=f"boat {n}") for n in range(11)]
    studio.engine.step_s = 0.0  # type: ignore[attr-defined]
    assert "10" in results[-1].followups[-1].content
    await studio.idle()
    assert len([message for message in studio.channel.history() if message.attachments]) == 10
