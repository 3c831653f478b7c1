"""The buttons under one picture that make another one of it: upscale, zoom, pan."""

from __future__ import annotations

from bot.delivery.image_buttons import PANS
from bot.features.generate import edits
from bot.features.generate.edits import Source
from bot.kit import modals
from bot.kit.client import Client, Handler, Interaction
from bot.kit.custom_ids import Action
from bot.kit.interactions import load_image, reject_double_click
from bot.orders.geometry import Direction
from bot.prompt.flags import read_ratio


def install(client: Client) -> None:
    """Register every press and form."""

    @client.on_button(Action.UPSCALE)
    async def upscale(interaction: Interaction, image_id: int) -> None:
        await edits.upscale(interaction, await _source(interaction, Action.UPSCALE, image_id))

    @client.on_button(Action.UPSCALE_CREATIVE)
    async def upscale_creative(interaction: Interaction, image_id: int) -> None:
        source = await _source(interaction, Action.UPSCALE_CREATIVE, image_id)
        await edits.upscale(interaction, source, mode="creative")

    @client.on_button(Action.ZOOM_LITTLE)
    async def zoom_little(interaction: Interaction, image_id: int) -> None:
        await edits.zoom(interaction, await _source(interaction, Action.ZOOM_LITTLE, image_id), 1.5)

    @client.on_button(Action.ZOOM)
    async def zoom(interaction: Interaction, image_id: int) -> None:
        await edits.zoom(interaction, await _source(interaction, Action.ZOOM, image_id), 2.0)

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
        source = await _source(interaction, Action.ZOOM_CUSTOM, image_id)
        await edits.zoom(interaction, source, factor, words)

    for direction, action in PANS.items():
        client.on_button(action)(_pan(action, direction))


def _pan(action: Action, direction: Direction) -> Handler:
    async def pan(interaction: Interaction, image_id: int) -> None:
        await edits.pan(interaction, await _source(interaction, action, image_id), direction)

    return pan


async def _source(interaction: Interaction, action: Action, image_id: int) -> Source:
    """The picture behind a button, once a double click. Raises: NotFound, BadInput, MissingPermission."""
    job, image = await load_image(interaction, image_id)
    reject_double_click(interaction, action, image_id)
    return await edits.of_image(interaction, job, image)
