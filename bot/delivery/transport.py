"""How a job's person is reached: its interaction's token, its channel, a new message, or a direct message."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

import discord
from discord.ui import LayoutView

from bot.delivery.answers import FAILURES, Next, after, retry_after_s
from bot.delivery.image_tools import Upload
from bot.jobs.outbox import TokenRefused, TryLater, Undeliverable
from bot.jobs.records import Job
from bot.kit.components import NOBODY, notice
from bot.languages.speech import _

log = logging.getLogger(__name__)
WAY_S = 120.0  # one request: discord.py repeats it for 25 s by itself, and 25 MiB may go over a slow line


class Message(Protocol):
    """What is delivered: see `bot.delivery.contents.Contents`."""

    async def make(self) -> tuple[LayoutView, Upload | None]: ...
    async def shrink(self) -> bool: ...
    def hide_words(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a person. `send` returns the id of the message that it edited or made."""

    name: str
    send: Callable[[LayoutView, Upload | None], Awaitable[int]]
    by_token: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Where something was delivered. `anew`: as a new message, which notified its person."""

    message_id: int
    anew: bool


class _Closed(Exception):
    """This way leads nowhere (any more)."""


class MessageTransport:
    """The message of one job, wherever it can still be reached."""

    def __init__(self, client: discord.Client, job: Job, now_ms: int) -> None:
        self._client, self._job, self._now_ms = client, job, now_ms

    async def progress(self, view: LayoutView, upload: Upload | None) -> Next | None:
        """Show progress in the message that is there already.

        A failure is of no matter, for the next edit or the final one comes anyway. Returns what the last request's
        failure asks for; None when it worked.
        """
        asks: Next | None = None
        for way in self._edits():
            try:
                await way.send(view, upload)
            except FAILURES as error:
                asks = after(error, by_token=way.by_token)
                if asks is not Next.OTHER_WAY:
                    return asks
            else:
                return None
        return asks

    async def final(self, message: Message, nonce: str, greeting: str = "", *, patient: bool = True) -> Sent:
        """Deliver: edit by token, edit in the channel, send anew, send directly, whichever works first.

        A patient delivery waits where Discord is out of order; one that waited long enough takes the next way. `nonce`
        (at most 25 characters) keeps a repeated new message from appearing twice.
        Raises: TryLater, Undeliverable, TokenRefused.
        """
        busy: TryLater | None = None
        edits = tuple(self._edits())
        for way in (*edits, *self._new_messages(nonce, greeting)):
            try:
                return Sent(message_id=await self._along(way, message), anew=way not in edits)
            except _Closed as closed:
                log.info("job %d is not delivered by %s: %s", self._job.id, way.name, closed)
            except TryLater as later:
                if patient:
                    raise
                busy = busy or later
        if busy is not None:
            raise busy
        raise Undeliverable("its message, its channel and the direct messages are closed to the bot")

    async def mention(self, message_id: int, nonce: str) -> None:
        """Tell the person that their message is ready, for an edit notifies nobody. A failure is of no matter.

        What only they may know they are told directly. `nonce` keeps a repeated one from appearing twice.
        """
        job = self._job
        link = f"https://discord.com/channels/{job.guild_id or '@me'}/{job.channel_id}/{message_id}"
        view = notice(_("{person}, this is ready: {link}", person=f"<@{job.user_id}>", link=link))
        for way in self._new_messages(nonce, ""):
            try:
                await way.send(view, None)
            except FAILURES as error:
                log.info("the person of job %d is not mentioned by %s: %s", job.id, way.name, error)
            else:
                return

    async def _along(self, way: Way, message: Message) -> int:
        """Deliver by one way, as small and wordless as Discord asks. Raises: _Closed, TryLater, TokenRefused."""
        while True:
            view, upload = await message.make()
            try:
                async with asyncio.timeout(WAY_S):
                    return await way.send(view, upload)
            except FAILURES as error:
                match after(error, by_token=way.by_token):
                    case Next.LATER:
                        raise TryLater(retry_after_s(error)) from error
                    case Next.STOP:
                        raise TokenRefused from error
                    case Next.SMALLER if await message.shrink():
                        continue
                    case Next.WORDLESS if message.hide_words():
                        continue
                raise _Closed(error) from error

    def _edits(self) -> Iterator[Way]:
        """The ways that keep everything in one message; repeating them changes nothing."""
        job = self._job
        first = job.part == 0  # only an interaction's first job has its answer; its id may not have been noted yet
        if job.reply_token and self._now_ms < job.reply_until_ms and (job.message_id or first):
            yield Way("token", self._edit_by_token, by_token=True)
        if job.message_id and not job.private:  # an ephemeral message is reached by its token only
            yield Way("channel", self._edit_in_channel)

    def _new_messages(self, nonce: str, greeting: str) -> Iterator[Way]:
        async def anew(view: LayoutView, upload: Upload | None) -> int:
            channel = self._client.get_partial_messageable(self._job.channel_id)
            return await self._send(channel, view, upload, nonce, greeting)

        async def directly(view: LayoutView, upload: Upload | None) -> int:
            user = await self._client.fetch_user(self._job.user_id)
            return await self._send(await user.create_dm(), view, upload, nonce, "")

        if not self._job.private:
            yield Way("new message", anew)
        yield Way("direct message", directly)

    async def _edit_by_token(self, view: LayoutView, upload: Upload | None) -> int:
        job = self._job
        webhook = discord.Webhook.partial(job.application_id, job.reply_token or "", client=self._client)
        message = await webhook.edit_message(
            cast(int, job.message_id or "@original"),
            view=view,
            attachments=_files(upload),
            allowed_mentions=NOBODY,
        )
        return message.id

    async def _edit_in_channel(self, view: LayoutView, upload: Upload | None) -> int:
        channel = self._client.get_partial_messageable(self._job.channel_id)
        message = channel.get_partial_message(cast(int, self._job.message_id))
        await message.edit(view=view, attachments=_files(upload), allowed_mentions=NOBODY)
        return message.id

    async def _send(self, channel: Any, view: LayoutView, upload: Upload | None, nonce: str, greeting: str) -> int:
        if greeting:
            view.add_item(discord.ui.TextDisplay(greeting))
        mentions = discord.AllowedMentions(users=[discord.Object(self._job.user_id)])
        message = await channel.send(view=view, files=_files(upload), nonce=nonce, allowed_mentions=mentions)
        return int(message.id)


def _files(upload: Upload | None) -> list[discord.File]:
    return [discord.File(io.BytesIO(upload.data), filename=upload.name)] if upload else []
