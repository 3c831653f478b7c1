"""A job's pictures as one small file, for lists."""

from __future__ import annotations

import io
from contextlib import suppress

import discord

from bot.delivery import image_tools
from bot.errors import NotFound, Refused
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, StoredImage
from bot.kit.client import Interaction
from bot.kit.interactions import check_visible
from bot.threads.pools import PICTURES


async def thumbnail(
    files: ImageFiles, interaction: Interaction, job: Job, images: list[StoredImage]
) -> discord.File | None:
    """The job's grid, small; None when it has no pictures, their files are gone, or they are not for this channel."""
    try:
        check_visible(interaction, job)
    except Refused:
        return None
    blobs = []
    for image in images[:4]:
        with suppress(NotFound):
            blobs.append(await files.read(image.path, image.sha256))
    if not blobs:
        return None
    data = await PICTURES.run(lambda: image_tools.thumbnail(image_tools.grid([image_tools.opened(b) for b in blobs])))
    return discord.File(io.BytesIO(data), filename=f"job-{job.id}.webp")
