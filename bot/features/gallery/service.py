"""Stars: a member's favourites, and votes for the server's gallery where it has one. Knows no Discord."""

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

    async def count(self, job: Job, images: Sequence[StoredImage]) -> int:
        """A job's stars, where they are votes; 0 where they are only somebody's favourites."""
        if not await self._is_voted_on(job, images):
            return 0
        return await self._store.read(gallery_store.stars, job.id)

    async def _is_voted_on(self, job: Job, images: Sequence[StoredImage]) -> bool:
        """Whether stars may bring it into a gallery: it isn't private or flagged, and the server has one."""
        if job.private or not job.guild_id or any(image.flagged for image in images):
            return False
        return (await self._moderation.rules(job.guild_id)).gallery_channel is not None

    async def toggle(self, job: Job, images: Sequence[StoredImage], user_id: int) -> bool:
        """Give a star or take it back; whether it is there now. Raises: BadInput."""
        if not images:
            raise BadInput("There's no picture here to put a star on.")
        return await self._store.write(gallery_store.toggle, job.id, user_id)

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
