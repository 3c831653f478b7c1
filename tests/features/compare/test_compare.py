"""/compare: one job, a labelled picture of many, each of them a picture of its own."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from bot.demo.simulation import Stage
from bot.features.compare import service as comparing
from engine.api.model_info import ModelInfo
from engine.fake import MINI, FakeEngine
from tests.e2e.screen import buttons, picture, press, words

BIG = ModelInfo(
    key="big",
    family="sd1",
    width=192,
    height=128,
    num_inference_steps=2,
    guidance_scale=7.0,
    scheduler="ddim",
)


async def compare(studio: Stage, who: str = "Ann", **options: Any) -> Any:
    result = await studio.members[who].slash(studio.channel, "compare", **{"prompt": "a boat --seed 7", **options})
    assert result.acknowledged
    await studio.idle()
    return result


def said(result: Any) -> str:
    shown = [*result.followups, *([result.response] if result.response else [])]
    return "\n".join(f"{each.content or ''}\n{words(each)}" for each in shown)


async def test_a_small_grid_is_painted_at_once_and_labelled(studio: Stage) -> None:
    result = await compare(studio, x="guidance", x_values="2, 5", y="scheduler", y_values="euler, ddim")
    assert list(buttons(result.response)) == ["U1", "U2", "U3", "U4", "Delete", "⭐", "Report"]
    assert "guidance 2, 5 × scheduler Euler, DDIM" in words(result.response).replace("\\", "")
    sheet = picture(studio, result.response)
    assert sheet.width > 2 * MINI.width + 20  # the rows' names stand at the left
    assert sheet.height > 2 * MINI.height + 20
    assert sheet.crop((0, 0, sheet.width, 20)).getcolors(1) is None  # letters


async def test_each_picture_is_its_own(studio: Stage) -> None:
    result = await compare(studio, x="steps", x_values="2, 3", y="guidance", y_values="2, 5")
    await studio.restart()
    alone = (await press(studio, result.response, "U4")).response
    text = words(alone).replace("\\", "")
    for flag in ("--steps 3", "--cfg 5"):
        assert flag in text
    assert "×" not in text
    neighbours = (await press(studio, alone, "Vary (Subtle)", "Ben")).response
    job, _ = await studio.app.jobs.image(int(buttons(neighbours)["U1"].split(":")[2]))
    assert (job.spec.num_inference_steps, job.spec.guidance_scale, job.spec.compare) == (3, 5, None)
    again = (await press(studio, alone, "🔄")).response
    assert list(buttons(again))[:4] == ["U1", "U2", "U3", "U4"]


async def test_a_large_grid_says_its_price_first_and_costs_by_what_each_takes(studio: Stage) -> None:
    asked = await compare(studio, x="seed", x_values="1,2,3,4,5", y="steps", y_values="4, 8")
    assert "**10 pictures**, for **15 credits**" in words(asked.response)
    await studio.restart()
    done = await press(studio, asked.response, "Paint it")
    assert [label for label in buttons(done.followups[0]) if label.startswith("U")] == [f"U{n}" for n in range(1, 11)]
    assert done.acknowledged
    job = await studio.app.jobs.get(1)
    assert job.charged_mc == 15_000


async def test_models_of_other_sizes_and_defaults_stand_side_by_side(studio: Stage) -> None:
    studio.make_engine = lambda: FakeEngine((MINI, BIG))
    await studio.restart()
    result = await compare(studio, x="model", x_values="mini, big")
    job = await studio.app.jobs.get(1)
    own = [(spec.model, spec.width, spec.num_inference_steps, spec.scheduler, spec.seed) for spec in job.spec.cells]
    assert own == [("mini", 128, 4, "euler", 7), ("big", 192, 2, "ddim", 7)]
    assert "model mini, big" in words(result.response)
    images = await studio.app.jobs.images(1)
    assert [(image.width, image.seed, image.ordinal) for image in images] == [(128, 7, 0), (192, 7, 1)]


async def test_strengths_of_an_uploaded_picture_are_compared(studio: Stage) -> None:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, "PNG")
    result = await compare(studio, x="strength", x_values="0.3, 0.6, 0.9", image=("a.png", out.getvalue()))
    assert list(buttons(result.response))[:3] == ["U1", "U2", "U3"]
    job = await studio.app.jobs.get(1)
    assert [spec.strength for spec in job.spec.cells] == [0.3, 0.6, 0.9]
    assert {spec.init_image for spec in job.spec.cells} == {job.spec.init_image}


async def test_without_a_seed_all_pictures_share_a_new_one(studio: Stage) -> None:
    await compare(studio, prompt="a boat", x="guidance", x_values="2, 5")
    job = await studio.app.jobs.get(1)
    assert len({spec.seed for spec in job.spec.cells}) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"x": "steps", "x_values": "4"}, "2 to 5"),
        ({"x": "steps", "x_values": "1,2,3,4,5,6"}, "2 to 5"),
        ({"x": "steps", "x_values": "4, many"}, "--steps takes"),
        ({"x": "steps", "x_values": "4, 99"}, "60"),
        ({"x": "steps", "x_values": "4, 5", "y": "steps", "y_values": "1, 2"}, "two different"),
        ({"x": "steps", "x_values": "4, 5", "y": "seed"}, "both y and y_values"),
        ({"x": "strength", "x_values": "0.2, 0.5"}, "Attach one"),
        ({"x": "model", "x_values": "mini, dalle"}, "no model 'dalle'"),
        ({"x": "scheduler", "x_values": "euler, eulr"}, "Did you mean euler"),
        ({"x": "seed", "x_values": "1, 2", "prompt": "a {red, blue} boat"}, "one prompt"),
        ({"x": "seed", "x_values": "1, 2", "prompt": "a boat --best 8"}, "--best"),
        ({"x": "seed", "x_values": "1, 2", "prompt": "--seed 2"}, "Describe a picture"),
    ],
)
async def test_what_cannot_be_compared_gets_a_sentence(studio: Stage, options: dict[str, Any], says: str) -> None:
    result = await compare(studio, **options)
    assert says in said(result)
    assert await studio.app.jobs.queue_length() == 0


async def test_what_failed_costs_nothing_and_can_be_tried_again(studio: Stage) -> None:
    failed = await compare(studio, prompt="!fail --seed 7", x="steps", x_values="2, 3")
    assert "Nothing was charged" in words(failed.response)
    job = await studio.app.jobs.get(1)
    assert job.charged_mc == 0
    await press(studio, failed.response, "Try again")
    again = await studio.app.jobs.get(2)
    assert again.spec == job.spec


async def test_a_comparison_is_cancelled_as_a_whole(studio: Stage) -> None:
    studio.make_engine = lambda: FakeEngine(step_s=0.2)
    await studio.restart()
    result = await studio.members["Ann"].slash(
        studio.channel, "compare", prompt="a boat", x="guidance", x_values="2,3,4,5"
    )
    await press(studio, result.response, "Cancel")
    assert studio.engine.status().queued == 0
    assert (await studio.app.jobs.get(1)).state == "cancelled"


async def test_its_pictures_are_named_by_their_number(studio: Stage) -> None:
    await compare(studio, x="seed", x_values="7, 8")
    result = await studio.members["Ann"].slash(studio.channel, "describe", source="1.2")
    assert len(buttons(result.response)) == 4


def test_the_values_are_read_in_their_order_and_once() -> None:
    assert comparing.values("steps", " 8,4 , 8,") == [8, 4]
