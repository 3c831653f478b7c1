"""A button's handler starts only after what the button declares was checked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.jobs.records import Job, StoredImage
from bot.kit.client import Interaction
from bot.kit.custom_ids import Action
from engine.fake import FakeEngine
from tests.e2e.screen import paint, press, words


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Stage]:
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0)
    async with stage(settings, make_engine=FakeEngine) as running:
        yield running
        await running.idle()


async def test_an_image_is_looked_up_and_given_to_the_handler_once(studio: Stage) -> None:
    started: list[tuple[Job, StoredImage]] = []

    @studio.bot.on_button(Action.REROLL, image=True, once=True)
    async def reroll(interaction: Interaction, job: Job, image: StoredImage) -> None:
        started.append((job, image))
        await interaction.response.send_message("done", ephemeral=True)

    grid = await paint(studio, "a red boat")
    assert (await press(studio, grid, "🔄")).response.content == "done"
    assert "The first press counts" in words((await press(studio, grid, "🔄")).response)
    assert [(job.id, image.job_id) for job, image in started] == [(1, 1)]
    assert (await press(studio, grid, "🔄", "Ben")).response.content == "done"


async def test_a_deleted_job_starts_nothing(studio: Stage) -> None:
    started: list[Job] = []

    @studio.bot.on_button(Action.SEED, job=True)  # the first image of the first job: both have the number 1
    async def seed(interaction: Interaction, job: Job) -> None:
        started.append(job)
        await interaction.response.defer()

    grid = await paint(studio, "a red boat")
    await press(studio, grid, "Seed")
    assert [job.id for job in started] == [1]
    await studio.app.jobs.delete(1, studio.members["Ann"].id)
    assert "deleted" in words((await press(studio, grid, "Seed", "Ben")).response)
    assert len(started) == 1
