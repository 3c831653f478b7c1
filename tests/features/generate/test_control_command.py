"""/control: words along a picture, painted, charged and made again; and what is said where nothing can follow."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image, ImageDraw

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from engine.api import metadata
from engine.fake import MINI, FakeEngine
from tests.e2e.screen import buttons, paint, picture, press, words
from tests.features.generate.test_edit_commands import asked, credits_of, job_of, png, said

LED = replace(MINI, controlnets=("edges", "depth"), tasks=MINI.tasks | {"control"})
OTHER = replace(MINI, key="other", controlnets=("pose",), tasks=MINI.tasks | {"control"})
PLAIN = replace(MINI, key="plain")


def drawing() -> bytes:
    image = Image.new("RGB", (96, 64), "teal")
    ImageDraw.Draw(image).rectangle((30, 20, 66, 44), fill="white")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.fixture
async def led(settings: Settings) -> AsyncIterator[Stage]:
    async with stage(settings, make_engine=lambda: FakeEngine((LED, OTHER, PLAIN))) as running:
        yield running
        await running.idle()
        assert await running.app.store.problems() == []


async def recipe_of(studio: Stage, message: Any) -> metadata.Recipe:
    job = await job_of(studio, message)
    image = (await studio.app.jobs.images(job.id))[0]
    recipe = metadata.decode(await studio.app.files.read(image.path))
    assert recipe is not None
    return recipe


def followed(job: Any) -> tuple[str, float, bool]:
    """Which ControlNet, how closely, and whether the picture is taken as it is."""
    request = job.spec.request
    return request.controlnet, request.controlnet_conditioning_scale, request.prepared


async def test_words_are_painted_along_a_picture(led: Stage) -> None:
    given = ("house.png", drawing())
    result = await asked(led, "control", image=given, prompt="a house --seed 5", kind="edges", strength=0.6)
    assert "Control (edges 0.6) of an uploaded picture" in words(result.response)
    job = await job_of(led, result.response)
    assert (job.kind, job.spec.task, job.spec.num_images, job.spec.seed) == ("control", "control", 4, 5)
    assert followed(job) == ("edges", 0.6, False)
    assert job.spec.width > job.spec.height, "the picture gives the proportions"
    assert job.charged_mc == led.settings.credits_a_day * 1000 - await credits_of(led) > 3000
    recipe = await recipe_of(led, result.response)
    assert (recipe.task, recipe.request["controlnet"]) == ("control", "edges")
    assert recipe.request["controlnet_conditioning_scale"] == 0.6
    plain = await paint(led, f"a house --seed 5 --size {job.spec.width}x{job.spec.height}")
    assert picture(led, result.response).tobytes() != picture(led, plain).tobytes()


async def test_what_is_not_said_is_the_first_that_fits_at_full_strength(led: Stage) -> None:
    await paint(led, "a red boat --cfg 3")
    result = await asked(led, "control", source="1.2")
    job = await job_of(led, result.response)
    assert (job.spec.prompt, job.spec.guidance_scale, job.parent_job_id) == ("a red boat", 3.0, 1)
    assert followed(job) == ("edges", 1.0, False)
    assert "Control (edges) of picture 2 of #1" in words(result.response)


async def test_the_model_follows_from_the_kind(led: Stage) -> None:
    await paint(led, "a red boat --steps 3")
    result = await asked(led, "control", source="1.1", kind="Pose", prepared=True)
    job = await job_of(led, result.response)
    assert (job.spec.model, followed(job)) == ("other", ("pose", 1.0, True))
    assert job.spec.num_inference_steps == OTHER.num_inference_steps
    assert "Control (pose, as it is)" in words(result.response)


async def test_another_capital_changes_no_model(settings: Settings) -> None:
    models = (LED, replace(LED, key="third"))
    async with stage(settings, make_engine=lambda: FakeEngine(models)) as studio:
        await paint(studio, "a red boat --model third --steps 3")
        result = await asked(studio, "control", source="1.1", kind="Edges")
        job = await job_of(studio, result.response)
        assert (job.spec.model, job.spec.num_inference_steps) == ("third", 3)
        assert followed(job) == ("edges", 1.0, False)


async def test_its_buttons_follow_the_same_picture_after_a_restart(led: Stage) -> None:
    result = await asked(led, "control", image=("house.png", drawing()), prompt="a house", kind="depth", strength=1.5)
    first = await job_of(led, result.response)
    await led.restart()
    again = (await press(led, result.response, "🔄")).response
    job = await job_of(led, again)
    assert (followed(job), job.spec.inputs) == (followed(first), first.spec.inputs)
    assert job.spec.seed != first.spec.seed
    assert "Control (depth 1.5) of an uploaded picture" in words(again)
    near = (await press(led, again, "V2")).response
    varied = await job_of(led, near)
    assert (followed(varied), len(varied.spec.variations)) == (followed(first), 1)
    assert f"Variation (depth 1.5) of picture 2 of #{job.id}" in words(near)
    form = await press(led, result.response, "Remix")
    changed = await led.members["Ann"].submit_modal(form, {"prompt": "a barn --strength 0.5"})
    await led.idle()
    remixed = await job_of(led, changed.response)
    assert (remixed.spec.prompt, remixed.spec.inputs) == ("a barn", first.spec.inputs)
    assert followed(remixed) == ("depth", 0.5, False)
    alone = (await press(led, again, "U1")).response
    assert {"Vary (Subtle)", "Upscale (2x)", "Remix"} <= buttons(alone).keys()


async def test_two_pictures_are_followed_and_the_first_is_repainted(led: Stage) -> None:
    both = await asked(
        led,
        "control",
        image=("house.png", drawing()),
        image2=("a.png", png()),
        prompt="a house",
        kind="edges",
        kind2="depth",
    )
    job = await job_of(led, both.response)
    assert "Control (edges, depth) of an uploaded picture" in words(both.response)
    assert [(guide.controlnet, len(guide.image.sha256)) for guide in job.spec.request.guides] == [
        ("edges", 64),
        ("depth", 64),
    ]
    assert len(job.spec.inputs) == 2
    again = (await press(led, both.response, "🔄")).response
    assert (await job_of(led, again)).spec.request.guides == job.spec.request.guides
    shown = await led.members["Ann"].context_menu(led.channel, "Read parameters", both.response.message)
    text = words(shown.followups[-1] if shown.followups else shown.response)
    assert "ControlNet edges" in text
    assert "depth" in text

    repainted = await asked(led, "control", source="1.1", kind="edges", kind2="depth", repaint=0.5, prompt="a barn")
    job = await job_of(led, repainted.response)
    assert (job.spec.task, job.spec.strength) == ("img2img", 0.5)
    assert [guide.image for guide in job.spec.request.guides] == [job.spec.request.main_picture] * 2
    assert "Control (edges, depth) of picture 1 of #1" in words(repainted.response)


async def test_read_parameters_tells_of_it(led: Stage) -> None:
    result = await asked(led, "control", image=("house.png", drawing()), prompt="a house --n 1", kind="edges")
    shown = await led.members["Ann"].context_menu(led.channel, "Read parameters", result.response.message)
    text = words(shown.followups[-1] if shown.followups else shown.response)
    assert "ControlNet edges" in text
    assert "a house" in text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "edgse"}, "Did you mean edges?"),
        ({"kind": "zzz"}, "Available: edges, depth, pose"),
        ({"kind": "edges", "prompt": "a house --model plain"}, "The model plain can't follow a picture"),
        ({"kind": "pose", "prompt": "a house --model mini"}, "mini has no ControlNet 'pose'. These have: other"),
        ({"image": ("a.png", b"nothing")}, "isn't a picture that I can read"),
        ({"prompt": "{a, b}"}, "one job"),
    ],
)
async def test_refusals_are_sentences_and_free(led: Stage, options: dict[str, Any], says: str) -> None:
    result = await asked(led, "control", **{"image": ("house.png", drawing()), "prompt": "a house", **options})
    assert says in said(result).replace("\\", "")
    assert await led.app.jobs.queue_length() == 0
    assert await credits_of(led) == led.settings.credits_a_day * 1000


async def test_without_a_controlnet_it_says_so_and_keeps_nothing(studio: Stage) -> None:
    result = await asked(studio, "control", image=("a.png", png()), prompt="a house")
    assert "No model here has a ControlNet" in said(result)
    assert "EASEL_CONTROLNETS" in said(result).replace("\\", "")
    assert await credits_of(studio) == studio.settings.credits_a_day * 1000
    listed = words((await studio.members["Ann"].slash(studio.channel, "models")).response)
    assert "control" not in listed.casefold()


async def test_without_credits_nothing_is_painted(settings: Settings) -> None:
    settings = settings.model_copy(update={"credits_a_day": 3})
    async with stage(settings, make_engine=lambda: FakeEngine((LED,))) as poor:
        result = await asked(poor, "control", image=("a.png", png()), prompt="a house")
        assert "credits" in said(result)
        assert await credits_of(poor) == 3000
        assert await poor.app.jobs.queue_length() == 0
        one = await asked(poor, "control", image=("a.png", png()), prompt="a house --n 1")
        assert (await job_of(poor, one.response)).charged_mc == 3000 - await credits_of(poor)


async def test_kinds_are_offered_with_the_models_they_fit(led: Stage) -> None:
    async def offered(typed: str, **others: str) -> list[str]:
        choices = await led.members["Ann"].autocomplete(led.channel, "control", "kind", typed, **others)
        return [choice["name"] for choice in choices]

    assert await offered("") == ["edges (mini)", "depth (mini)", "pose (other)"]
    assert await offered("D") == ["edges (mini)", "depth (mini)"]
    listed = words((await led.members["Ann"].slash(led.channel, "models")).response).replace("\\", "")
    assert "ControlNets, for the option kind of **/control**: edges, depth" in listed
