"""One job on its way through the engine: submit, follow, keep its pictures. Knows no queue and no retries."""

from __future__ import annotations

import asyncio
import io
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction

from PIL import Image

from bot.errors import NotFound, PicturesAway
from bot.jobs import fanout
from bot.jobs.event_relay import Relay
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, NewImage, StoredFile
from bot.jobs.store import JobStore
from bot.threads.pools import PICTURES
from engine.api.errors import EngineError
from engine.api.events import Cancelled, Failed, Finished, ImageReady, Progress, Started
from engine.api.metadata import encode_png
from engine.api.recipe import Recipe
from engine.backend import Backend, Ticket
from engine.imaging import watermark

log = logging.getLogger(__name__)
DISK_PAUSE_S = 5.0  # between tries to write a picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended: the pictures that are on disk, and the engine's last word."""

    images: tuple[NewImage, ...]
    end: Finished | Failed | Cancelled


@dataclass(eq=False, slots=True, kw_only=True)
class Run:
    """A job in the engine.

    Attributes:
        started: once its first step began. painted: the share of its steps that are done, over all its pictures.
        draining: once a shutdown gave it up. unwanted: once its person did.
    """

    job: Job
    relay: Relay
    ticket: Ticket | None = None
    started: bool = False
    watermark: bool = False
    composite: bool = False
    painted: Fraction = Fraction(0)
    draining: bool = False
    unwanted: bool = False
    saves: list[asyncio.Task[NewImage]] = field(default_factory=list)
    given_up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def cancelled(self) -> bool:
        return self.given_up.is_set()

    def cancel(self) -> None:
        """Stop at the next step boundary, or as soon as the engine has it."""
        self.given_up.set()
        if self.ticket is not None:
            self.ticket.cancel()

    async def go(self, store: JobStore, backend: Backend, files: ImageFiles) -> Outcome:
        """Run to the end, whatever it is; no listener is being called any more afterwards.

        Raises: NotFound, OSError, sqlite3.Error when its input pictures can't be read.
        """
        try:
            end = await self._follow(store, backend, files)
            await self.relay.close(end)
            return await self._saved(end)
        finally:
            await self.relay.close()

    async def _saved(self, end: Finished | Failed | Cancelled) -> Outcome:
        """Wait until everything that was painted is on the disk, or nobody wants it any more."""
        try:
            return Outcome(images=tuple(await asyncio.gather(*self.saves)), end=end)
        except (OSError, PicturesAway):
            if not self.cancelled:
                raise
            return Outcome(images=(), end=Cancelled())

    async def discard(self, files: ImageFiles) -> None:
        """Remove what was written: the job's pictures do not count."""
        kept = await asyncio.gather(*self.saves, return_exceptions=True)
        await files.delete(image.file.path for image in kept if isinstance(image, NewImage))

    async def _follow(self, store: JobStore, backend: Backend, files: ImageFiles) -> Finished | Failed | Cancelled:
        try:
            inputs = await _inputs(self.job, store, files)
            self.composite = bool(inputs) and await _shows_a_persons(self.job, store)
            requests = [cell.request.loaded(inputs) for cell in self.job.spec.cells]
            job = self.job
            self.ticket = fanout.submit(
                backend, requests, user=str(job.user_id), weight=job.weight, lane=job.lane, adults=job.aged
            )
            if self.cancelled:
                self.ticket.cancel()
            async for event in self.ticket:
                if isinstance(event, Finished | Failed | Cancelled):
                    return event
                self.started = self.started or isinstance(event, Started)
                if isinstance(event, Progress):
                    self.painted = Fraction(event.step, event.steps)
                if isinstance(event, ImageReady):
                    self.saves.append(asyncio.create_task(self._save(event, files)))
                self.relay.push(event)
        except EngineError as error:
            return Failed(error=error)
        return Cancelled()  # a ticket that ends without a word

    async def _save(self, event: ImageReady, files: ImageFiles) -> NewImage:
        """Put a picture on disk, its recipe inside. Raises: OSError, PicturesAway once the job is given up."""
        recipe = replace(event.recipe, composite=self.composite)
        data, picture = await PICTURES.run_always(_file, event.image, recipe, self.watermark)
        return NewImage(
            ordinal=event.index,
            seed=event.seed,
            file=await self._write(event.index, data, picture, files),
            width=event.image.width,
            height=event.image.height,
            recipe=asdict(recipe),
            flagged=event.flagged,
            reason=event.reason,
        )

    async def _write(self, index: int, data: bytes, picture: Image.Image, files: ImageFiles) -> StoredFile:
        """Write until it is written: a picture waits in memory while the disk is full, or away. Raises: as `_save`."""
        while True:
            try:
                return await files.write_output(self.job.id, index, data, picture)
            except (OSError, PicturesAway) as error:
                if self.cancelled:
                    raise
                log.warning("a picture of job %d can't be kept yet: %s", self.job.id, error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.given_up.wait(), DISK_PAUSE_S)


def _file(image: Image.Image, recipe: Recipe, marked: bool) -> tuple[bytes, Image.Image]:
    """A picture as it is stored, encoded and plain. Runs in a worker thread."""
    picture = watermark.embed(image) if marked else image
    return encode_png(picture, recipe), picture


async def _shows_a_persons(job: Job, store: JobStore) -> bool:
    """Whether a job with pictures works on one that a person brought, or on one of ours that shows such a one."""
    if job.parent_image_id is None:
        return True
    try:
        _, parent = await store.job_of_image(job.parent_image_id)
    except NotFound:  # deleted; nobody knows any more
        return True
    return parent.recipe.get("composite") is True


async def _inputs(job: Job, store: JobStore, files: ImageFiles) -> dict[str, Image.Image]:
    """The pictures that a job starts from, by their sha256. Raises: NotFound."""
    found = {}
    for sha256 in job.spec.inputs:
        data = await files.read((await store.input_image(sha256)).file.path, sha256)
        found[sha256] = await PICTURES.run_always(_open, data)
    return found


def _open(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:  # we wrote it ourselves
        return image.convert("RGB")
