"""Before Mini paints blobs for words it never heard, it asks; other models are never asked about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from engine import mini
from engine.api.model_info import ModelInfo
from engine.fake import FakeEngine
from tests.e2e.screen import buttons, press, words
from tests.features.generate.test_refusals import imagine, newest


class SmallWorld(FakeEngine):
    """The fake, knowing as few words as Mini."""

    def models(self) -> tuple[ModelInfo, ...]:
        return tuple(replace(info, small_world=True) for info in super().models())


@pytest.fixture
async def small(settings: Settings) -> AsyncIterator[Stage]:
    async with stage(settings, make_engine=SmallWorld) as running:
        yield running


async def test_nothing_is_painted_of_words_it_does_not_know(small: Stage) -> None:
    asked = await imagine(small, "a majestic dragon breathing fire")
    assert asked.ephemeral
    assert "doesn't know 'majestic', 'dragon', 'breathing' or 'fire'" in words(asked)
    *offers, anyway, edit = buttons(asked)
    assert (len(offers), anyway, edit) == (3, "Paint it anyway", "Edit")
    assert all(not mini.unknown_words(offer) for offer in offers)
    assert await small.app.jobs.history(small.members["Ann"].id, small.guild.id) == []
    await small.restart()
    await press(small, asked, offers[1])
    assert (await newest(small)).prompt == offers[1]


async def test_who_insists_gets_what_they_typed(small: Stage) -> None:
    await press(small, await imagine(small, "a dragon", steps=3), "Paint it anyway")
    spec = await newest(small)
    assert (spec.prompt, spec.num_inference_steps) == ("a dragon", 3)


@pytest.mark.parametrize("prompt", ["a dragon over a red boat", "two kittens", "at sunset", "a majestic red", "7"])
async def test_one_known_thing_is_enough_and_words_without_meaning_are_none(small: Stage, prompt: str) -> None:
    painted = prompt != "a majestic red"
    assert bool((await imagine(small, prompt)).attachments) is painted


async def test_other_models_know_all_words(studio: Stage) -> None:
    assert (await imagine(studio, "a majestic dragon")).attachments


def test_the_embedded_model_is_the_one_with_a_small_world() -> None:
    from engine.models import catalog

    assert catalog.describe(catalog.source("mini", "mini")).small_world
