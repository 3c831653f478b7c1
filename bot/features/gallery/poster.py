"""The gallery channel: starred pictures are posted there once, and leave it when they are deleted."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Sequence

import discord

from bot.delivery.job_messages import JobMessages
from bot.features.gallery.service import Stars
from bot.features.gallery.store import GalleryPost
from bot.jobs.records import Job, StoredImage
from bot.kit.components import NOBODY
from bot.kit.interactions import is_age_restricted, role_reads

log = logging.getLogger(__name__)
UNKNOWN_MESSAGE = 10008


class Gallery:
    """Posts and removes pictures; `Stars` decides which."""

    def __init__(self, client: discord.Client, stars: Stars, delivery: JobMessages) -> None:
        self._client, self._stars, self._delivery = client, stars, delivery

    async def consider(self, job: Job, images: Sequence[StoredImage], count: int) -> None:
        """Post the picture if it has the stars and was never posted."""
        channel_id = await self._stars.claim(job, count)
        if channel_id is None:
            return
        if not self._may_hang(job, channel_id):
            await self._stars.drop(job.id)
            return
        view, upload = await self._delivery.poster(job, images, count)
        file = discord.File(io.BytesIO(upload.data), filename=upload.name)
        try:
            channel = self._client.get_partial_messageable(channel_id)
            message = await channel.send(view=view, file=file, allowed_mentions=NOBODY)
        except discord.HTTPException as error:
            log.warning("the gallery of server %d is closed to us: %s", job.guild_id, error)
            await self._stars.drop(job.id)  # so that the next star tries again
            return
        await self._stars.posted(job.id, message.id)

    def _may_hang(self, job: Job, channel_id: int) -> bool:
        """Whether a gallery shows a picture to nobody who couldn't see it where it was made."""
        guild = self._client.get_guild(job.guild_id)
        gallery = guild.get_channel(channel_id) if guild else None
        made_in = guild.get_channel_or_thread(job.channel_id) if guild else None
        if guild is None or gallery is None or made_in is None:
            return False
        if job.aged and not is_age_restricted(gallery):
            return False
        return all(role_reads(role, made_in) for role in guild.roles if role_reads(role, gallery))

    async def tidy(self) -> None:
        """Remove posts whose pictures were deleted."""
        await self._remove(await self._stars.stale())

    async def withdraw(self, user_id: int) -> None:
        """Remove the posts of somebody's pictures, before their data go."""
        await self._remove(await self._stars.of_person(user_id))

    async def _remove(self, posts: Iterable[GalleryPost]) -> None:
        for post in posts:
            if post.message_id is not None:
                channel = self._client.get_partial_messageable(post.channel_id)
                try:
                    await channel.get_partial_message(post.message_id).delete()
                except discord.HTTPException as error:
                    if error.code != UNKNOWN_MESSAGE:
                        log.warning("a picture could not be taken out of a gallery: %s", error)
            await self._stars.drop(post.job_id)
