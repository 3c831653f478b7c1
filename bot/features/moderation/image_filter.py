"""Withholds images that a safety check flagged, or keeps them as spoilers. Knows no Discord."""

from __future__ import annotations

from collections.abc import Sequence

from bot.features.audit.service import EASEL, Audit, Event
from bot.features.moderation.service import Moderation
from bot.jobs.dispatcher import withhold
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, NewImage


class ImageFilter:
    """Decides by the server's rules, removes what is withheld, and notes it."""

    def __init__(self, moderation: Moderation, audit: Audit, files: ImageFiles) -> None:
        self._moderation, self._audit, self._files = moderation, audit, files

    async def filter_flagged(self, job: Job, images: Sequence[NewImage]) -> tuple[NewImage, ...]:
        """Return the images that may be delivered, and delete the files of the others."""
        flagged = [image for image in images if image.flagged]
        if not flagged:
            return tuple(images)
        spoilers = job.aged and (await self._moderation.rules(job.guild_id)).spoiler
        reasons = ", ".join(sorted({image.reason for image in flagged if image.reason}))
        details = {"owner": job.user_id, "pictures": len(flagged), "reason": reasons, "prompt": job.spec.prompt}
        action: Event = "image.spoiler" if spoilers else "image.withheld"
        await self._audit.record(job.guild_id, EASEL, action, f"job:{job.id}", details)
        if spoilers:
            return tuple(images)
        await self._files.delete(image.file.path for image in flagged)
        return await withhold(job, images)
