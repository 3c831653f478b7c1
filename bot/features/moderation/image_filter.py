"""Withholds images that a safety check flagged, or keeps them as spoilers. Knows no Discord."""

from __future__ import annotations

from collections.abc import Sequence

from bot.features.audit.service import EASEL, Audit, Event
from bot.features.moderation.service import Moderation
from bot.jobs.dispatcher import withhold
from bot.jobs.records import Job, NewImage


class ImageFilter:
    """Decides by the server's rules, and notes what is withheld."""

    def __init__(self, moderation: Moderation, audit: Audit) -> None:
        self._moderation, self._audit = moderation, audit

    async def filter_flagged(self, job: Job, images: Sequence[NewImage]) -> tuple[NewImage, ...]:
        """Return the images that may be delivered."""
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
        return await withhold(job, images)
