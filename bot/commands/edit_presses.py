"""The buttons under one picture that make another one of it: upscale, zoom, pan."""

from __future__ import annotations

from bot import conversation, editing
from bot.client import Client, Handler, Interaction
from bot.editing import Source
from bot.flags import read_ratio
from bot.services.edits import Direction
from bot.spec import UpscaleEdit
from bot.views import forms
from bot.views.ids import Action
from bot.views.single import PANS


def install(client: Client) -> None:
    """Register every press and form."""

    @client.on_press(Action.UPSCALE)
    async def upscale(interaction: Interaction, image_id: int) -> None:
        await editing.upscale(interaction, await _source(interaction, Action.UPSCALE, image_id), UpscaleEdit())

    @client.on_press(Action.UPSCALE_CREATIVE)
    async def upscale_creative(interaction: Interaction, image_id: int) -> None:
        source = await _source(interaction, Action.UPSCALE_CREATIVE, image_id)
        await editing.upscale(interaction, source, UpscaleEdit(mode="creative"))

    @client.on_press(Action.ZOOM_LITTLE)
    async def zoom_little(interaction: Interaction, image_id: int) -> None:
        await editing.zoom(interaction, await _source(interaction, Action.ZOOM_LITTLE, image_id), 1.5)

    @client.on_press(Action.ZOOM)
    async def zoom(interaction: Interaction, image_id: int) -> None:
        await editing.zoom(interaction, await _source(interaction, Action.ZOOM, image_id), 2.0)

    @client.on_press(Action.ZOOM_CUSTOM)
    async def zoom_form(interaction: Interaction, image_id: int) -> None:
        job, _ = await conversation.load_image(interaction, image_id)
        await interaction.response.send_modal(forms.zoom(image_id, job.spec.prompt))

    @client.on_form(Action.ZOOM_CUSTOM)
    async def zoom_custom(interaction: Interaction, image_id: int) -> None:
        said = forms.answers(interaction)
        factor = editing.read_zoom(said.get("zoom", "") or "1")
        ratio = said.get("ratio", "").strip()
        words = editing.read(said.get("prompt"), ar=read_ratio(ratio) if ratio else None)
        source = await _source(interaction, Action.ZOOM_CUSTOM, image_id)
        await editing.zoom(interaction, source, factor, words)

    for direction, action in PANS.items():
        client.on_press(action)(_pan(action, direction))


def _pan(action: Action, direction: Direction) -> Handler:
    async def pan(interaction: Interaction, image_id: int) -> None:
        await editing.pan(interaction, await _source(interaction, action, image_id), direction)

    return pan


async def _source(interaction: Interaction, action: Action, image_id: int) -> Source:
    """The picture behind a button, once a double click. Raises: NotFound, BadInput, MissingPermission."""
    job, image = await conversation.load_image(interaction, image_id)
    conversation.reject_double_click(interaction, action, image_id)
    return await editing.of_image(interaction, job, image)
