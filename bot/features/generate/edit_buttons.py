"""The buttons under one picture that make another one of it: upscale, zoom, pan."""

from __future__ import annotations

from typing import Protocol

from bot.delivery.image_buttons import PANS
from bot.features.generate import edits
from bot.features.generate.edits import Source
from bot.features.generate.submission import Submission
from bot.features.settings.service import PreferenceService
from bot.jobs.files import ImageFiles
from bot.jobs.service import Jobs
from bot.kit import modals
from bot.kit.client import Client, Handler, Interaction
from bot.kit.custom_ids import Action
from bot.kit.interactions import load_image, reject_double_click
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

    @client.on_button(Action.UPSCALE)
    async def upscale(interaction: Interaction, image_id: int) -> None:
        await edits.upscale(app, interaction, await _source(app, interaction, Action.UPSCALE, image_id))

    @client.on_button(Action.UPSCALE_CREATIVE)
    async def upscale_creative(interaction: Interaction, image_id: int) -> None:
        source = await _source(app, interaction, Action.UPSCALE_CREATIVE, image_id)
        await edits.upscale(app, interaction, source, mode="creative")

    @client.on_button(Action.ZOOM_LITTLE)
    async def zoom_little(interaction: Interaction, image_id: int) -> None:
        await edits.zoom(app, interaction, await _source(app, interaction, Action.ZOOM_LITTLE, image_id), 1.5)

    @client.on_button(Action.ZOOM)
    async def zoom(interaction: Interaction, image_id: int) -> None:
        await edits.zoom(app, interaction, await _source(app, interaction, Action.ZOOM, image_id), 2.0)

    @client.on_button(Action.ZOOM_CUSTOM)
    async def zoom_form(interaction: Interaction, image_id: int) -> None:
        job, _ = await load_image(interaction, image_id)
        await interaction.response.send_modal(modals.zoom(image_id, job.spec.prompt))

    @client.on_modal(Action.ZOOM_CUSTOM)
    async def zoom_custom(interaction: Interaction, image_id: int) -> None:
        said = modals.answers(interaction)
        factor = edits.read_zoom(said.get("zoom", "") or "1")
        ratio = said.get("ratio", "").strip()
        words = edits.read(said.get("prompt"), ar=read_ratio(ratio) if ratio else None)
        source = await _source(app, interaction, Action.ZOOM_CUSTOM, image_id)
        await edits.zoom(app, interaction, source, factor, words)

    for direction, action in PANS.items():
        client.on_button(action)(_pan(app, action, direction))


def _pan(app: Services, action: Action, direction: Direction) -> Handler:
    async def pan(interaction: Interaction, image_id: int) -> None:
        await edits.pan(app, interaction, await _source(app, interaction, action, image_id), direction)

    return pan


async def _source(app: Services, interaction: Interaction, action: Action, image_id: int) -> Source:
    """The picture behind a button, once a double click. Raises: NotFound, BadInput, MissingPermission."""
    job, image = await load_image(interaction, image_id)
    reject_double_click(interaction, action, image_id)
    return await edits.of_image(app, interaction, job, image)
