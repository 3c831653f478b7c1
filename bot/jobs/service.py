"""Where commands and buttons go to start, cancel and delete jobs. Knows no Discord."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from PIL import Image

from bot.config import Settings
from bot.errors import Busy, NotYours
from bot.jobs.dispatcher import Dispatcher
from bot.jobs.files import ImageFiles
from bot.jobs.records import InputImage, Job, NewJob, StoredImage
from bot.jobs.store import JobStore
from bot.languages.speech import N_
from bot.ledger.limits import Terms, default_terms
from bot.threads.pools import UPLOADS

T = TypeVar("T")

NOT_TO_CANCEL = N_(
    "Only the person who asked for this image, or someone who can **Manage Messages** here, can cancel it."
)
NOT_TO_DELETE = N_(
    "Only the person who asked for this image, or someone who can **Manage Messages** here, can delete it."
)
NOT_TO_GET = N_("Only the person who asked for this image, or someone who can **Manage Messages** here, can get it.")


class Jobs:
    """Everything somebody may do with jobs; each refusal is a `UserError` with a sentence."""

    def __init__(self, store: JobStore, files: ImageFiles, dispatcher: Dispatcher, settings: Settings) -> None:
        self._store, self._files, self._dispatcher = store, files, dispatcher
        self._settings = settings

    async def submit(self, new: NewJob, terms: Terms | None = None) -> Job:
        """Queue a job, its price reserved, on its person's terms (None: the settings' own).

        What cannot be paid is queued in the relax lane for nothing, where the terms allow it.
        Raises: NotEnoughCredits, TooManyJobs, Busy, NotFound.
        """
        return (await self.submit_all([new], terms))[0]

    async def submit_all(self, new: Sequence[NewJob], terms: Terms | None = None) -> list[Job]:
        """Queue several jobs, or none of them. Raises: as `submit`."""
        await self.check_open()
        terms = terms or default_terms(self._settings)
        return await self._store.enqueue_all(new, terms.allowance_mc, terms.limits(self._settings))

    async def check_room(self, user_id: int, guild_id: int, terms: Terms) -> None:
        """Whether one more job of a member's would be taken, whatever it costs. Raises: TooManyJobs, Busy."""
        await self.check_open()
        limits = terms.limits(self._settings)
        await self._store.check_room(user_id, guild_id if limits.purse is None else limits.purse, limits)

    async def check_open(self) -> None:
        """Raises: Busy while no new jobs are taken."""
        if self._dispatcher.stopping:
            raise Busy("Easel is restarting. Try again in a minute; nothing was charged.")
        if await self._files.free_mib() < self._settings.min_free_mib:
            raise Busy("The disk is almost full, so no new pictures can be made. Tell whoever runs this bot.")

    async def cancel(self, job_id: int, by: int) -> Job:
        """End a member's own queued or running job for what was painted of it; one that has ended stays as it is.

        Raises: NotFound, NotYours.
        """
        self._check_owner(await self._store.job(job_id), by, NOT_TO_CANCEL)
        return await self.end([job_id], lambda: self._store.cancel(job_id, self._dispatcher.painted(job_id)))

    async def delete(self, job_id: int, by: int) -> None:
        """Forget a member's own job and its images, cancelled first as in `cancel`. Raises: NotFound, NotYours."""
        self._check_owner(await self._store.job(job_id), by, NOT_TO_DELETE)
        await self.end([job_id], lambda: self._store.delete_job(job_id, self._dispatcher.painted(job_id)))

    async def end(self, job_ids: Collection[int], write: Callable[[], Awaitable[T]]) -> T:
        """End jobs: `write` does so in the database, then they are no longer painted. When it fails, they go on.

        Files that nothing refers to any more are removed.

        Returns what `write` returns. Raises: what it raises.
        """
        async with self._dispatcher.ending(job_ids):
            done = await write()
            self._store.owed.set()
        await self.remove_ended_files()
        return done

    async def remove_ended_files(self) -> None:
        """Remove from the disk what nothing refers to any more."""
        await self._store.remove_ended_files(self._files)

    async def store_input(self, image: Image.Image, user_id: int = 0) -> str:
        """Keep a picture to start from; its sha256, for `Spec.init_image`. It must have been checked already.

        `user_id`: who uploaded it; it is forgotten with them.
        """
        data, sha256 = await UPLOADS.run(_png, image)
        known = await self._store.input_again(sha256, user_id)
        if known and await self._files.has(known, len(data)):
            return sha256
        new = InputImage(file=await self._files.write_input(data), width=image.width, height=image.height)
        return await self._store.store_input(new, user_id, lost=known)

    async def hand_over(self, job: Job, by: int, terms: Terms) -> Job:
        """Take the price of a result that could not be delivered, for its member is shown it now.

        Raises: NotYours, NotFound, NotEnoughCredits.
        """
        self._check_owner(job, by, NOT_TO_GET)
        return await self._store.hand_over(job.id, terms.allowance_mc, terms.limits(self._settings))

    # ------------------------------------------------------------ looking
    async def get(self, job_id: int) -> Job:
        """Raises: NotFound (also when deleted)."""
        return await self._store.job(job_id)

    async def image(self, image_id: int) -> tuple[Job, StoredImage]:
        """Return an image with its job. Raises: NotFound (also when deleted)."""
        return await self._store.job_of_image(image_id)

    async def images(self, job_id: int) -> list[StoredImage]:
        """Return a job's images in order."""
        return await self._store.images(job_id)

    async def undelivered(self, guild_id: int | None, limit: int) -> list[Job]:
        """Return a server's jobs (None = of all) whose pictures could not be delivered, newest first."""
        return await self._store.undelivered(guild_id, limit)

    async def active_in(self, guild_id: int | None) -> list[Job]:
        """Return everybody's active jobs in a server (None = in all), in the order they will be served."""
        return await self._store.active_in(guild_id)

    async def pending(self) -> int:
        """Return how many jobs have not ended plus deliveries that are owed: 0 = nothing more happens by itself."""
        return await self._store.pending()

    async def history(self, user_id: int, guild_id: int, before_id: int | None = None, limit: int = 10) -> list[Job]:
        """Return a member's jobs in a server, newest first, those before `before_id`."""
        return await self._store.history(user_id, guild_id, before_id, limit)

    async def active(self, user_id: int, guild_id: int) -> list[Job]:
        """Return a member's queued and running jobs in a server, in the order they will be served."""
        return await self._store.active(user_id, guild_id)

    async def position(self, job_id: int) -> int | None:
        """Return how many jobs will be claimed before this one; None when it does not wait."""
        return await self._store.position(job_id)

    async def queue_length(self) -> int:
        """Return how many jobs wait."""
        return await self._store.queue_length()

    async def input_image(self, sha256: str) -> InputImage:
        """Raises: NotFound."""
        return await self._store.input_image(sha256)

    async def bind_message(self, job_id: int, message_id: int) -> None:
        """Remember the progress message: delivering means editing it."""
        await self._store.bind_message(job_id, message_id)

    def _check_owner(self, job: Job, by: int, refusal: str) -> None:
        if job.user_id != by:
            raise NotYours(refusal)


def _png(image: Image.Image) -> tuple[bytes, str]:
    """A picture as a file, and its sha256. The same pixels always give the same."""
    out = io.BytesIO()
    image.convert("RGB").save(out, "PNG", compress_level=4)  # half the time of 6 for a seventh more bytes
    return out.getvalue(), hashlib.sha256(out.getvalue()).hexdigest()
