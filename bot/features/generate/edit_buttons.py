"""The buttons under one picture that make another one of it: upscale, zoom, pan, its idea."""

from __future__ import annotations

from typing import Protocol

from bot.delivery.image_buttons import PANS
from bot.features.generate import edits
from bot.features.generate.submission import Submission
from bot.features.settings.service import PreferenceService
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, StoredImage
from bot.jobs.service import Jobs
from bot.kit import modals
from bot.kit.client import Client, ImageHandler, Interaction
from bot.kit.custom_ids import Action
from bot.orders.geometry import Direction
from bot.prompt.flags import read_ratio
from engine.backend import Backend


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    files: ImageFiles
    preferences: PreferenceService
    submission: Submission
    jobs: Jobs


def install(client: Client, app: Services) -> None:
    """Register every press and form."""

    @client.on_button(Action.FINISH, image=True, once=True)
    async def finish(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await edits.finish(app, interaction, job, image)

    @client.on_button(Action.VARY_MEANING, image=True, once=True)
    async def vary_meaning(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await edits.vary_meaning(app, interaction, await edits.of_image(app, interaction, job, image))

    @client.on_button(Action.UPSCALE, image=True, once=True)
    async def upscale(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await edits.upscale(app, interaction, await edits.of_image(app, interaction, job, image))

    @client.on_button(Action.UPSCALE_CREATIVE, image=True, once=True)
    async def upscale_creative(interaction: Interaction, job: Job, image: StoredImage) -> None:
        source = await edits.of_image(app, interaction, job, image)
        await edits.upscale(app, interaction, source, mode="creative")

    @client.on_button(Action.ZOOM_LITTLE, image=True, once=True)
    async def zoom_little(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await edits.zoom(app, interaction, await edits.of_image(app, interaction, job, image), 1.5)

    @client.on_button(Action.ZOOM, image=True, once=True)
    async def zoom(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await edits.zoom(app, interaction, await edits.of_image(app, interaction, job, image), 2.0)

    @client.on_button(Action.ZOOM_CUSTOM, image=True)
    async def zoom_form(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await interaction.client.forms.send(interaction, modals.zoom(image.id, job.spec.prompt))

    @client.on_modal(Action.ZOOM_CUSTOM, image=True, once=True)
    async def zoom_custom(interaction: Interaction, job: Job, image: StoredImage) -> None:
        said = modals.answers(interaction)
        factor = edits.read_zoom(said.get("zoom", "") or "1")
        ratio = said.get("ratio", "").strip()
        words = edits.read(said.get("prompt"), ar=read_ratio(ratio) if ratio else None)
        source = await edits.of_image(app, interaction, job, image)
        await edits.zoom(app, interaction, source, factor, words)

    for direction, action in PANS.items():
        client.on_button(action, image=True, once=True)(_pan(app, direction))


def _pan(app: Services, direction: Direction) -> ImageHandler:
    async def pan(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await edits.pan(app, interaction, await edits.of_image(app, interaction, job, image), direction)

    return pan
