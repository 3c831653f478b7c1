"""Stars: one a person and picture; enough of them bring it into the server's gallery, once. Knows no Discord."""

from __future__ import annotations

from collections.abc import Sequence

from bot.errors import BadInput
from bot.features.gallery import store as gallery_store
from bot.features.gallery.store import GalleryPost
from bot.features.moderation.service import Moderation
from bot.jobs.records import Job, StoredImage
from bot.store.store import Store


class Stars:
    """Counts stars and hands out the right to post a picture in the gallery."""

    def __init__(self, store: Store, moderation: Moderation) -> None:
        self._store, self._moderation = store, moderation

    async def count(self, job: Job, images: Sequence[StoredImage]) -> int | None:
        """A job's stars; None where it can have none: private, flagged, or no gallery here."""
        if job.private or not job.guild_id or any(image.flagged for image in images):
            return None
        if (await self._moderation.rules(job.guild_id)).gallery_channel is None:
            return None
        return await self._store.read(gallery_store.stars, job.id)

    async def toggle(self, job: Job, images: Sequence[StoredImage], user_id: int) -> int:
        """Give a star or take it back; the stars now. Raises: BadInput."""
        if not images or await self.count(job, images) is None:
            raise BadInput("This picture can't have stars: it's private, or this server has no gallery.")
        await self._store.write(gallery_store.toggle, job.id, user_id)
        return await self._store.read(gallery_store.stars, job.id)

    async def claim(self, job: Job, count: int) -> int | None:
        """The gallery channel to post in, if it is time and nobody did; the caller then says how it went."""
        rules = await self._moderation.rules(job.guild_id)
        if rules.gallery_channel is None or count < rules.stars:
            return None
        won = await self._store.write(gallery_store.claim, job.id, rules.gallery_channel)
        return rules.gallery_channel if won else None

    async def posted(self, job_id: int, message_id: int) -> None:
        await self._store.write(gallery_store.posted, job_id, message_id)

    async def drop(self, job_id: int) -> None:
        """The post failed or is gone."""
        await self._store.write(gallery_store.drop, job_id)

    async def stale(self) -> list[GalleryPost]:
        """Posts of pictures that were deleted."""
        return await self._store.read(gallery_store.stale)

    async def of_person(self, user_id: int) -> list[GalleryPost]:
        return await self._store.read(gallery_store.of_person, user_id)
