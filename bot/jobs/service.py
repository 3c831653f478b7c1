"""Where commands and buttons go to start, cancel and delete jobs. Knows no Discord."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence

from PIL import Image

from bot.config import Settings
from bot.errors import Busy, NotYours
from bot.jobs.dispatcher import Dispatcher
from bot.jobs.files import ImageFiles
from bot.jobs.records import InputImage, Job, NewJob
from bot.ledger.records import Balance
from bot.ledger.terms import Terms, default_terms
from bot.store.clock import Clock
from bot.store.store import Store

DOUBLE_CLICK_MS = 2000


class Jobs:
    """Everything somebody may do with jobs; each refusal is a `UserError` with a sentence."""

    def __init__(
        self, store: Store, files: ImageFiles, dispatcher: Dispatcher, settings: Settings, clock: Clock
    ) -> None:
        self._store, self._files, self._dispatcher = store, files, dispatcher
        self._settings, self._clock = settings, clock
        self._presses: dict[str, int] = {}

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
        return await self._store.enqueue_all(new, terms.allowance_mc, terms.limits(self._settings.max_queue))

    async def check_open(self) -> None:
        """Raises: Busy while no new jobs are taken."""
        if self._dispatcher.stopping:
            raise Busy("Easel is restarting. Try again in a minute; nothing was charged.")
        if await self._files.free_mib() < self._settings.min_free_mib:
            raise Busy("The disk is almost full, so no new pictures can be made. Tell whoever runs this bot.")

    async def cancel(self, job_id: int, by: int, *, admin: bool = False) -> Job:
        """End somebody's own waiting or running job (any job, for an admin); one that ended is returned as it is.

        Raises: NotFound, NotYours.
        """
        self._check_owner(await self._store.job(job_id), by, admin, "cancel")
        await self._dispatcher.abort(job_id)  # first: no progress may cover the notice that cancelling owes
        job = await self._store.cancel(job_id)
        await self._dispatcher.abort(job_id)  # again: it may have been claimed in between
        return job

    async def delete(self, job_id: int, by: int, *, admin: bool = False) -> None:
        """Forget a job and its pictures. Raises: NotFound, NotYours."""
        self._check_owner(await self._store.job(job_id), by, admin, "delete")
        await self._dispatcher.abort(job_id)
        paths = await self._store.delete_job(job_id)
        await self._dispatcher.abort(job_id)
        await self._files.delete(paths)

    async def balance(self, user_id: int, guild_id: int, terms: Terms | None = None) -> Balance:
        """Somebody's credits on their terms (None: the settings' own)."""
        terms = terms or default_terms(self._settings)
        return await self._store.balance(user_id, guild_id, terms.allowance_mc, terms.period)

    async def store_input(self, image: Image.Image, user_id: int = 0) -> str:
        """Keep a picture to start from; its sha256, for `Spec.init_image`. It must have been checked already.

        `user_id`: who uploaded it; it is forgotten with them.
        """
        file = await self._files.write_input(await asyncio.to_thread(_png, image))
        return await self._store.store_input(InputImage(file=file, width=image.width, height=image.height), user_id)

    def first_press(self, key: str, window_ms: int = DOUBLE_CLICK_MS) -> bool:
        """False for the second press of a double click (Discord sends two interactions).

        `key` names image, action and person. In memory: nobody double-clicks across a restart.
        """
        now_ms = self._clock.now_ms()
        self._presses = {name: at for name, at in self._presses.items() if 0 <= now_ms - at < window_ms}
        if key in self._presses:
            return False
        self._presses[key] = now_ms
        return True

    def _check_owner(self, job: Job, by: int, admin: bool, verb: str) -> None:
        if job.user_id != by and not admin:
            raise NotYours(f"Only the person who asked for this picture or an admin may {verb} it.")


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.convert("RGB").save(out, "PNG", compress_level=4)  # half the time of 6 for a seventh more bytes
    return out.getvalue()
