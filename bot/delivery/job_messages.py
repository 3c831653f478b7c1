"""Keeps each job's message up to date: progress while it paints, the result once, through a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from functools import partial

import discord

from bot.delivery import image_tools
from bot.delivery.answers import Next
from bot.delivery.comparison_sheet import labels
from bot.delivery.contents import Contents, without_words
from bot.delivery.edit_rate import EditRateLimiter
from bot.delivery.image_tools import Upload
from bot.delivery.layouts import BOARD_COLUMNS, Layouts, Painting
from bot.delivery.marks import NO_MARKS, Marks
from bot.delivery.transport import MessageTransport
from bot.errors import Busy, NotFound
from bot.jobs.files import FreshPictures, ImageFiles
from bot.jobs.outbox import PicturesLost, Receipt, TryLater, Undeliverable
from bot.jobs.records import Job, OutboxEntry, StoredImage
from bot.kit.client import Client
from bot.kit.interactions import public_locale
from bot.languages.speech import _, speak, speaking
from bot.prompt.spec import Spec
from bot.store.clock import Clock
from bot.threads.pools import PICTURES
from engine.api.events import Event, Loading, Preview, Progress, Queued, Started, Terminal

log = logging.getLogger(__name__)
DEFAULT_LIMIT_BYTES = 10 * 1024 * 1024  # Discord's limit without boosts
PATIENCE = 3  # tries that wait for Discord, 7 s in all, before another way is taken; then the person is told, once
Whole = Sequence[tuple[StoredImage, bytes]]
"""Pictures with their files, which are what they were when they were written."""


class _Live:
    """One job on its way: its newest state and the task that shows it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.state = Painting()
        self.dirty = asyncio.Event()
        self.lock = asyncio.Lock()  # one edit of a message at a time, so that the final one is last
        self.task: asyncio.Task[None] | None = None


class JobMessages:
    """The dispatcher's listener and the outbox's courier."""

    def __init__(
        self,
        client: Client,
        layouts: Layouts,
        files: ImageFiles,
        clock: Clock,
        quiet: Collection[int] = (),
        stars: Callable[[Job, Sequence[StoredImage]], Awaitable[int | None]] | None = None,
        mention_minutes: Callable[[int], Awaitable[int | None]] | None = None,
        wordless: Collection[int] = (),
        marks: Marks = NO_MARKS,
    ) -> None:
        self._client, self._layouts, self._files, self._clock = client, layouts, files, clock
        self.marks = marks
        self._quiet = quiet  # people who want no pictures while painting
        self._secretive = wordless  # people who want no prompt in their files
        self._stars = stars  # how many a picture has; None where it can have none
        self._mention_minutes = (
            mention_minutes  # how long a job of somebody's has to take to mention them; None = never
        )
        self._live: dict[int, _Live] = {}
        self._wordless: set[int] = set()  # jobs on their way whose prompt a filter of Discord's blocks
        self._pace = EditRateLimiter()

    def painting(self, job_id: int) -> Painting:
        """What is known of a job's progress right now."""
        live = self._live.get(job_id)
        return live.state if live else Painting()

    async def announce(self, job: Job, position: int) -> None:
        """Show a fresh job's place in the queue; what follows comes with the events."""
        await self._progress(job, Painting(position=position), None)

    async def on_event(self, job: Job, event: Event) -> None:
        """Take in one engine event; the message follows when its pace allows."""
        if isinstance(event, Terminal):
            await self._settle(job.id)
            return
        live = self._live.setdefault(job.id, _Live(job))
        live.job = job
        if _apply(live.state, event, self._clock.now_ms()):
            live.dirty.set()
        if live.task is None:
            live.task = asyncio.create_task(self._follow(live), name=f"progress of job {job.id}")

    async def deliver(self, owed: OutboxEntry, job: Job, images: Sequence[StoredImage]) -> Receipt:
        """Show a job's end in its message. Idempotent: it edits.

        Raises: TryLater, Undeliverable, TokenRefused, PicturesLost.
        """
        await self._settle(job.id)
        speak(self._locale(job))
        whole = await self._whole(images)
        if images and not whole:
            raise PicturesLost
        contents = await self._result(job, images, whole) if images else self._ended(job)
        post, greeting = self._post(job), _("{person}, this took a while.", person=f"<@{job.user_id}>")
        try:
            sent = await post.final(contents, owed.nonce, greeting, patient=owed.attempts < PATIENCE)
            if not sent.anew and await self._took_long(job):
                await post.mention(sent.message_id, f"{owed.nonce}@")
            found = {image.id for image, _ in whole}
            return Receipt(
                message_id=sent.message_id, lost=tuple(image.id for image in images if image.id not in found)
            )
        except TryLater:
            if images and owed.attempts == PATIENCE:
                await post.progress(self._layouts.delayed(job), None)
            raise
        except Undeliverable:
            if images:
                await self._say_undeliverable(post, job, owed.nonce)
            raise

    async def _took_long(self, job: Job) -> bool:
        """Whether it took so long that its person wants to be mentioned."""
        if self._mention_minutes is None or job.state == "cancelled":
            return False
        minutes = await self._mention_minutes(job.user_id)
        return minutes is not None and self._clock.now_ms() - job.created_at > minutes * 60_000

    async def _say_undeliverable(self, post: MessageTransport, job: Job, nonce: str) -> None:
        """Tell the person, without the file that may be what Discord refuses; there may be no way for words either."""
        with suppress(TryLater, Undeliverable):
            await post.final(Contents(job, lambda job, _: self._layouts.undelivered(job)), f"{nonce}!")

    async def result(self, job: Job, images: Sequence[StoredImage]) -> tuple[discord.ui.LayoutView, Upload]:
        """A finished job's message and its file. Raises: Busy; NotFound when no picture's file is left."""
        PICTURES.check_room()
        view, upload = await (await self._result(job, images, await self._found(images))).make()
        assert upload is not None
        return view, upload

    async def close(self) -> None:
        """Stop showing progress."""
        for job_id in list(self._live):
            await self._settle(job_id)

    async def _follow(self, live: _Live) -> None:
        while True:
            await live.dirty.wait()
            wait_ms = self._pace.wait_ms(live.job.id, live.job.channel_id, self._clock.now_ms())
            if wait_ms:
                await asyncio.sleep(wait_ms / 1000)
            live.dirty.clear()
            self._pace.edited(live.job.id, live.job.channel_id, self._clock.now_ms())
            async with live.lock:
                await self._show_progress(live)

    async def _show_progress(self, live: _Live) -> None:
        job, state = live.job, live.state
        upload: Upload | None = None
        if state.previews and job.user_id not in self._quiet:
            spec, previews = job.spec, dict(state.previews)
            aspect, columns = spec.width / spec.height, len(spec.compare.columns) if spec.compare else _columns(spec)
            with suppress(Busy):  # words will do, this time
                upload = await PICTURES.run(image_tools.preview_grid, previews, spec.draws, aspect, columns)
        await self._progress(job, state, upload)

    async def _progress(self, job: Job, state: Painting, upload: Upload | None) -> None:
        shown = without_words(job) if job.id in self._wordless else job
        with speaking(self._locale(job)):
            view = self._layouts.waiting(shown, state, upload.name if upload else None)
        asks = await self._post(job).progress(view, upload)
        if asks is Next.WORDLESS and job.id not in self._wordless:
            self._wordless.add(job.id)
            await self._progress(job, state, upload)

    async def _settle(self, job_id: int) -> None:
        """End a job's progress edits; one that is on the wire finishes first."""
        self._wordless.discard(job_id)
        live = self._live.pop(job_id, None)
        self._pace.forget(job_id)
        if live is None or live.task is None:
            return
        async with live.lock:
            live.task.cancel()
        with suppress(asyncio.CancelledError):
            await live.task

    def _ended(self, job: Job) -> Contents:
        return Contents(job, lambda job, _: self._layouts.ended(job))

    async def _result(self, job: Job, images: Sequence[StoredImage], whole: Whole) -> Contents:
        stars = await self._stars(job, images) if self._stars else None
        shown, lost = [image for image, _ in whole], len(images) - len(whole)

        def view(job: Job, upload: Upload | None) -> discord.ui.LayoutView:
            assert upload is not None
            return self.finished(job, shown, upload.name, stars, lost)

        words = self.tells_words(job)
        return Contents(
            job,
            view,
            partial(_picture, self.marks, self._files.fresh, job, whole),
            self._limit_bytes(job.guild_id),
            words=words,
        )

    def tells_words(self, job: Job) -> bool:
        """Whether a job's files may hold its prompt."""
        return job.user_id not in self._secretive

    def finished(
        self, job: Job, images: Sequence[StoredImage], filename: str, stars: int | None, lost: int = 0
    ) -> discord.ui.LayoutView:
        """A finished job's message around its file, posted already or not; without `lost` pictures of it."""
        return self._layouts.grid(job, images, filename, _note(job, len(images), lost, filename), stars)

    def before_deleting(self, job: Job, image: StoredImage, filename: str) -> discord.ui.LayoutView:
        """The question whether to delete a job, around its file ("" = there is none)."""
        with speaking(self._locale(job)):
            return self._layouts.before_deleting(job, image.id, filename)

    async def poster(self, job: Job, images: Sequence[StoredImage], stars: int) -> tuple[discord.ui.LayoutView, Upload]:
        """What the gallery shows of a job, and its file. Raises: NotFound when no picture's file is left."""
        whole = await self._found(images)
        make = partial(_picture, self.marks, self._files.fresh, job, whole)
        upload = await PICTURES.run(make, self._limit_bytes(job.guild_id), self.tells_words(job))
        return self._layouts.poster(job, upload.name, stars), upload

    async def _found(self, images: Sequence[StoredImage]) -> Whole:
        """The pictures whose files are whole. Raises: NotFound when there is none."""
        if whole := await self._whole(images):
            return whole
        raise NotFound("The files of these pictures are gone from the disk. Ask for new ones with /imagine.")

    async def _whole(self, images: Sequence[StoredImage]) -> Whole:
        found = []
        for image in images:
            with suppress(NotFound):
                found.append((image, await self._files.read(image.path, image.sha256)))
        return found

    def _locale(self, job: Job) -> object:
        """What the message of a job speaks: as it did when it was asked for."""
        if job.language is not None:
            return job.language
        theirs = self._client.locales.get(job.user_id, discord.Locale.american_english)
        return theirs if job.private else public_locale(self._client.get_guild(job.guild_id), theirs)

    def _post(self, job: Job) -> MessageTransport:
        return MessageTransport(self._client, job, self._clock.now_ms())

    def _limit_bytes(self, guild_id: int) -> int:
        guild = self._client.get_guild(guild_id)
        known = self._client.upload_limits.get(guild_id)
        return known or (guild.filesize_limit if guild else DEFAULT_LIMIT_BYTES)


def _note(job: Job, delivered: int, lost: int, filename: str) -> str:
    """What a member should know of a result besides its pictures."""
    failed = job.spec.num_images - delivered - lost - job.withheld
    asked = job.spec.num_images
    gone = _("The files of {lost} of {asked} pictures are gone from the disk.", lost=lost, asked=asked)
    if job.state == "rendered":
        gone = _(
            "The files of {lost} of {asked} pictures are gone from the disk and were not charged.",
            lost=lost,
            asked=asked,
        )
    notes = [
        gone if lost else "",
        _("{failed} of {asked} pictures failed and were not charged.", failed=failed, asked=asked) if failed else "",
        _("The safety check withheld {withheld} of {asked} pictures; not charged.", withheld=job.withheld, asked=asked)
        if job.withheld
        else "",
        _why_webp(delivered) if filename.endswith(".webp") else "",
    ]
    return " ".join(filter(None, notes))


def _why_webp(pictures: int) -> str:
    return (
        _("Sent as WebP to fit Discord's limit.") if pictures == 1 else _("Sent as WebP; each picture alone is a PNG.")
    )


def _columns(spec: Spec) -> int:
    return BOARD_COLUMNS if spec.is_board else 2


def _picture(marks: Marks, fresh: FreshPictures, job: Job, whole: Whole, limit: int, words: bool) -> Upload:
    """The stored pictures as the one file to send; a grid tells of its first. Runs in a worker thread."""
    opened = {image.ordinal: fresh.take(image.path) or image_tools.opened(blob) for image, blob in whole}
    compare = job.spec.compare
    recipe = whole[0][0].made_with
    if compare is not None:
        return marks.fit(
            image_tools.sheet(opened, *labels(compare)), f"easel-{job.id}", limit, recipe=recipe, words=words
        )
    stored = whole[0][1] if len(whole) == 1 else None
    shown = image_tools.grid([*opened.values()], _columns(job.spec))
    return marks.fit(shown, f"easel-{job.id}", limit, stored, recipe=recipe, words=words)


def _apply(state: Painting, event: Event, now_ms: int) -> bool:
    """Fold an event into the state; True when there is something new to show."""
    match event:
        case Queued(position=position, eta_s=eta_s):
            changed = state.position != position or state.started_ms is not None or state.loading is not None
            state.position, state.eta_s, state.started_ms, state.loading = position, eta_s, None, None
            return changed
        case Loading():
            state.loading, state.started_ms = event, None
        case Started():
            state.started_ms, state.eta_s, state.loading = now_ms, None, None
        case Progress(step=step, steps=steps):
            state.step, state.steps = step, steps
            state.eta_s = _left_s(state, now_ms)
        case Preview(index=index, flagged=True):
            state.previews.pop(index, None)
        case Preview(index=index, image=image):
            state.previews[index] = image
        case _:
            return False
    return True


def _left_s(state: Painting, now_ms: int) -> float | None:
    """Seconds to go, from the pace so far; nothing before a tenth is done, for the first step is no measure."""
    if state.started_ms is None or state.step * 10 < state.steps:
        return None
    return (now_ms - state.started_ms) / 1000 * (state.steps - state.step) / state.step
