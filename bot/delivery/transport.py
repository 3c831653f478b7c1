"""Where a job's message is reached: its interaction token, its channel, a new message, or a direct message."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, cast

import discord
from discord.ui import LayoutView

from bot.delivery.image_tools import Upload
from bot.jobs.protocols import TryLater, Undeliverable
from bot.jobs.records import Job
from bot.kit.components import NOBODY

TOKEN_GONE = {50027, 10015, 10062}  # invalid, unknown or expired webhook token: all mean "too late"
MESSAGE_GONE = {10003, 10008, 50001, 50013}  # unknown channel or message, no access, no permission
TOO_LARGE = {40005}


@dataclass(frozen=True, slots=True)
class TooLarge(Exception):
    """Discord refused the file's size."""

    limit_bytes: int


class MessageTransport:
    """Edit the message of one job, wherever that is still possible."""

    def __init__(self, client: discord.Client, job: Job, now_ms: int) -> None:
        self._client, self._job, self._now_ms = client, job, now_ms
        self.message_id = job.message_id

    async def progress(self, view: LayoutView, upload: Upload | None) -> None:
        """Show progress. A failure is of no matter: the next edit or the final one comes anyway."""
        try:
            if not await self._by_token(view, upload):
                await self._by_channel(view, upload)
        except (discord.HTTPException, OSError):
            return

    async def final(self, view: LayoutView, upload: Upload | None, nonce: str, greeting: str) -> int | None:
        """Deliver, trying the token, the channel, a new message and a direct message, in that order.

        Returns the id of the message that now holds the result. Raises: TryLater, Undeliverable, TooLarge.
        """
        try:
            if await self._by_token(view, upload):
                return self.message_id
            if await self._by_channel(view, upload):
                return self.message_id
            return await self._anew(view, upload, nonce, greeting)
        except discord.HTTPException as error:
            raise _temporary(error, upload) from error
        except OSError as error:
            raise TryLater(5) from error

    async def _by_token(self, view: LayoutView, upload: Upload | None) -> bool:
        job = self._job
        if not job.reply_token or self._now_ms >= job.reply_until_ms:
            return False
        if job.message_id is None and job.part > 0:  # only an interaction's first job has its answer
            return False
        # a crash may have come before the message's id was noted
        message_id = cast(int, job.message_id or "@original")
        webhook = discord.Webhook.partial(job.application_id, job.reply_token, client=self._client)
        try:
            message = await webhook.edit_message(
                message_id, view=view, attachments=_files(upload), allowed_mentions=NOBODY
            )
        except discord.HTTPException as error:
            if error.code in TOKEN_GONE | MESSAGE_GONE or error.status in (401, 404):
                return False
            raise
        self.message_id = message.id
        return True

    async def _by_channel(self, view: LayoutView, upload: Upload | None) -> bool:
        job = self._job
        if job.private or not job.message_id:  # an ephemeral message is reached by its token only
            return False
        channel = self._client.get_partial_messageable(job.channel_id)
        try:
            message = channel.get_partial_message(job.message_id)
            await message.edit(view=view, attachments=_files(upload), allowed_mentions=NOBODY)
        except discord.HTTPException as error:
            if error.code in MESSAGE_GONE or error.status in (403, 404):
                return False
            raise
        return True

    async def _anew(self, view: LayoutView, upload: Upload | None, nonce: str, greeting: str) -> int:
        """A new message in the channel (never for a private job), else a direct message."""
        job = self._job
        if not job.private:
            channel = self._client.get_partial_messageable(job.channel_id)
            try:
                return await self._send(channel, view, upload, nonce, greeting)
            except discord.HTTPException as error:
                if error.code not in MESSAGE_GONE and error.status not in (403, 404):
                    raise
        try:
            user = await self._client.fetch_user(job.user_id)
            return await self._send(await user.create_dm(), view, upload, nonce, "")
        except (discord.Forbidden, discord.NotFound) as error:
            raise Undeliverable("the channel and the direct messages are closed to the bot") from error

    async def _send(self, channel: Any, view: LayoutView, upload: Upload | None, nonce: str, greeting: str) -> int:
        if greeting:
            view.add_item(discord.ui.TextDisplay(greeting))
        mentions = discord.AllowedMentions(users=[discord.Object(self._job.user_id)])
        message = await channel.send(view=view, files=_files(upload), nonce=nonce, allowed_mentions=mentions)
        return int(message.id)


def _temporary(error: discord.HTTPException, upload: Upload | None) -> Exception:
    if upload is not None and (error.status == 413 or error.code in TOO_LARGE):
        return TooLarge(len(upload.data) // 2)
    if error.status in (400, 401):
        return Undeliverable(f"Discord refuses the message ({error.code})")
    return TryLater(5)


def _files(upload: Upload | None) -> list[discord.File]:
    return [discord.File(io.BytesIO(upload.data), filename=upload.name)] if upload else []
