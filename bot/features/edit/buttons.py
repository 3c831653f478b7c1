"""The button **Edit** under a picture, and the ways back from an edit."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Protocol

import discord
from PIL import Image

from bot.delivery import image_tools
from bot.delivery.image_tools import Upload
from bot.delivery.job_messages import JobMessages
from bot.delivery.layouts import Layouts
from bot.errors import NotFound
from bot.features.generate.buttons import show
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, StoredImage
from bot.jobs.service import Jobs
from bot.kit import modals
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.interactions import acknowledge, load_image
from bot.languages.speech import _
from bot.threads.pools import PICTURES


class Services(Protocol):
    """What this module works with."""

    files: ImageFiles
    jobs: Jobs
    layouts: Layouts
    messages: JobMessages


def install(client: Client, app: Services) -> None:
    """Register every press."""

    @client.on_button(Action.EDIT, image=True)
    async def edit_form(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await interaction.client.forms.send(interaction, modals.edit(ButtonId(Action.EDIT, image.id)))

    @client.on_button(Action.EDIT_BEFORE, image=True)
    async def before(interaction: Interaction, job: Job, image: StoredImage) -> None:
        if job.parent_image_id is None:
            raise NotFound("There's no picture of Easel's before this one. **Compare** shows what it was made from.")
        whole, parent = await load_image(interaction, job.parent_image_id)
        await show(app, interaction, whole, parent, private=whole.private)

    @client.on_button(Action.EDIT_COMPARE, image=True)
    async def compare(interaction: Interaction, job: Job, image: StoredImage) -> None:
        if not job.spec.inputs:
            raise NotFound("This picture wasn't made from another one, so there's nothing to compare.")
        await acknowledge(interaction, private=True)
        source = await app.jobs.input_image(job.spec.inputs[0])
        before, after = await app.files.read(source.file.path), await app.files.read(image.path, image.sha256)
        words = app.messages.tells_words(job)
        make = partial(app.messages.marks.fit, recipe=image.made_with, words=words)
        upload = await PICTURES.run(_beside, make, before, after, interaction.filesize_limit)
        await interaction.edit_original_response(content=_("Before and after:"), attachments=[upload])


def _beside(make: Callable[..., Upload], before: bytes, after: bytes, limit_bytes: int) -> discord.File:
    """Both pictures side by side at the size of the second, fitted to the upload limit. Runs in a worker thread."""
    first, second = image_tools.opened(before), image_tools.opened(after)
    sides = [first.resize(second.size, Image.Resampling.LANCZOS), second]
    upload = make(image_tools.grid(sides), "before-and-after", limit_bytes)
    return discord.File(io.BytesIO(upload.data), filename=upload.name)
