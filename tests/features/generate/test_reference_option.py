"""/imagine reference: a picture read as words are, kept with its job; and what is said where no model can."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from engine.fake import MINI, FakeEngine
from tests.e2e.screen import buttons, paint, press
from tests.features.generate.test_edit_commands import asked, credits_of, job_of, png, said

READS = replace(MINI, key="reads", family="sdxl", image_prompts=True)


@pytest.fixture
async def reading(settings: Settings) -> AsyncIterator[Stage]:
    async with stage(settings, make_engine=lambda: FakeEngine((MINI, READS))) as running:
        yield running
        await running.idle()
        assert await running.app.store.problems() == []


async def test_a_reference_goes_with_the_job_and_its_neighbours(reading: Stage) -> None:
    asked_for = {"prompt": "a boat", "reference": ("ink.png", png()), "reference_use": "style", "reference_weight": 0.5}
    result = await asked(reading, "imagine", **asked_for)
    job = await job_of(reading, result.response)
    (reference,) = job.spec.request.references
    assert (job.spec.model, reference.use, reference.weight) == ("reads", "style", 0.5), "the first model that can"
    assert job.spec.inputs == (reference.image.sha256,)
    assert (job.spec.init_image, job.spec.task) == (None, "txt2img")
    again = (await press(reading, result.response, "🔄")).response
    assert (await job_of(reading, again)).spec.request.references == (reference,)


async def test_beside_a_picture_to_start_from(reading: Stage) -> None:
    result = await asked(
        reading,
        "imagine",
        prompt="a boat",
        image=("a.png", png(96, 64)),
        reference=("ink.png", png(64, 96)),
        strength=0.4,
    )
    job = await job_of(reading, result.response)
    assert (job.spec.task, job.spec.strength, len(job.spec.inputs)) == ("img2img", 0.4, 2)
    assert job.spec.width > job.spec.height, "the picture to start from gives the proportions"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prompt": "a boat --model mini"}, "mini can't read reference pictures. reads can"),
        ({"reference": ("a.png", b"nothing")}, "a picture that I can read"),
    ],
)
async def test_refusals_are_sentences_and_free(reading: Stage, changes: dict[str, Any], says: str) -> None:
    result = await asked(reading, "imagine", **{"prompt": "a boat", "reference": ("ink.png", png()), **changes})
    assert says in said(result).replace("\\", "")
    assert await credits_of(reading) == reading.settings.credits_a_day * 1000


async def test_without_an_adapter_it_says_what_could_be_added(studio: Stage) -> None:
    result = await asked(studio, "imagine", prompt="a boat", reference=("ink.png", png()))
    assert "EASEL_IP_ADAPTERS" in said(result).replace("\\", "")
    assert await credits_of(studio) == studio.settings.credits_a_day * 1000


async def test_another_prompt_keeps_the_reference(reading: Stage) -> None:
    """A refused line offers itself again, with all that was attached."""
    result = await asked(
        reading, "imagine", prompt="a boat --sedd 3", reference=("ink.png", png()), reference_weight=0.5
    )
    shown = await press(reading, result.response, "Paint without it")
    (reference,) = (await job_of(reading, shown.response)).spec.request.references
    assert reference.weight == 0.5


async def test_flags_name_pictures_for_their_style_and_their_things(reading: Stage) -> None:
    grid = await paint(reading, "ink")
    result = await asked(reading, "imagine", prompt="a boat --sref 1.2 --oref 1.3 --sw 50 --ow 150")
    request = (await job_of(reading, result.response)).spec.request
    assert [(each.use, each.weight) for each in request.references] == [("style", 0.5), ("all", 1.5)]
    assert len({each.image.sha256 for each in request.references}) == 2
    link = f"https://discord.com/channels/{reading.guild.id}/{reading.channel.id}/{grid.id}"
    assert "U1" in said(await asked(reading, "imagine", prompt=f"a boat --sref {link}")), "a grid is several"


async def test_a_reference_may_be_for_a_part_of_the_picture(reading: Stage) -> None:
    await paint(reading, "ink")
    result = await asked(reading, "imagine", prompt="a boat --oref 1.1@left --oref 1.2@50,0,50,100 --sref 1.3")
    references = (await job_of(reading, result.response)).spec.request.references
    assert [each.part for each in references] == [(0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0), None]
    again = (await press(reading, result.response, "🔄")).response
    assert (await job_of(reading, again)).spec.request.references == references, "also as the database has it"
    refused = said(await asked(reading, "imagine", prompt="a boat --oref 1.1@nowhere"))
    assert "I do not know the region 'nowhere'" in refused
    assert "top right" in refused


async def test_what_a_flag_cannot_find_is_said_with_a_way_on(reading: Stage) -> None:
    refused = await asked(reading, "imagine", prompt="a boat --sref 1234567 --sw 20 --seed 3")
    assert "can't find that job" in said(refused)
    again = (await press(reading, refused.response or refused.followups[-1], "Paint without it")).response
    spec = (await job_of(reading, again)).spec
    assert (spec.prompt, spec.seed, spec.request.references) == ("a boat", 3, ())


async def test_flags_for_references_belong_to_imagine(reading: Stage) -> None:
    await paint(reading, "ink")
    assert "only work in /imagine" in said(await asked(reading, "vary", source="1.1", prompt="a boat --sref 1.2"))


async def test_the_idea_of_a_picture_is_painted_anew(reading: Stage) -> None:
    """By whichever model can; from words and embedding alone, with a seed of its own."""
    grid = await paint(reading, "ink --ar 3:2 --steps 3")
    single = (await press(reading, grid, "U2")).response
    result = await press(reading, single, "Vary (Meaning)")
    job = await job_of(reading, result.response)
    (reference,) = job.spec.request.references
    assert (job.spec.prompt, job.spec.model, job.spec.task, reference.use) == ("ink", "reads", "txt2img", "all")
    assert job.spec.width > job.spec.height
    assert "New picture of the same idea of picture 2 of #1" in said(result)
    again = await press(reading, (await press(reading, result.response, "U1")).response, "Vary (Meaning)")
    assert len((await job_of(reading, again.response)).spec.request.references) == 1


async def test_the_idea_is_offered_where_a_model_can_read_it_only(studio: Stage) -> None:
    single = (await press(studio, await paint(studio, "ink"), "U1")).response
    assert "Vary (Meaning)" not in buttons(single)
