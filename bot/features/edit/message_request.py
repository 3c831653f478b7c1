"""A message that asks for something, with the face that handlers know of an interaction.

What a command does is done for a message by the same code. It has no token and nothing that only one person sees:
answers are replies in the channel, and the first becomes the job's message, edited like any other after a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import discord

from bot.kit.components import NOBODY, notice
from bot.kit.interactions import public_locale
from bot.languages.speech import _

if TYPE_CHECKING:
    from bot.kit.client import Client


class MessageRequest:
    """See `discord.Interaction` for the attributes; there are those that Easel uses."""

    type = discord.InteractionType.application_command
    token = ""
    message: discord.Message | None = None  # of a press; this is none

    def __init__(self, client: Client, message: discord.Message) -> None:
        guild, author = message.guild, message.author  # in direct messages there is no server
        self.client, self.guild, self.user, self.channel = client, guild, author, message.channel
        self.id, self.guild_id, self.channel_id = message.id, guild.id if guild else None, message.channel.id
        self.application_id = client.application_id or 0
        self.created_at = message.created_at
        theirs = guild.preferred_locale if guild else discord.Locale.american_english
        self.locale = public_locale(guild, client.locales.get(author.id, theirs))
        self.data: dict[str, Any] = {}
        self.extras: dict[str, Any] = {}
        self.filesize_limit = guild.filesize_limit if guild else discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES
        self.permissions = _permissions(message.channel, author)
        self.app_permissions = _permissions(message.channel, guild.me if guild else client.user)
        self.response = self.followup = _Replies(self, message)

    async def edit_original_response(
        self, *, view: discord.ui.LayoutView | None = None, content: str | None = None, attachments: Sequence[Any] = ()
    ) -> discord.Message:
        """Change the first reply."""
        first = self.response.first
        assert first is not None, "acknowledged first"
        shown = view or notice(content or "…")
        return await first.edit(view=shown, attachments=list(attachments), allowed_mentions=NOBODY)

    async def delete_original_response(self) -> None:
        """Take the first reply away."""
        if self.response.first is not None:
            await self.response.first.delete()


class _Replies:
    """What is said in answer to a message."""

    def __init__(self, asked: MessageRequest, message: discord.Message) -> None:
        self._asked, self._message = asked, message
        self.first: discord.Message | None = None
        self.type: discord.InteractionResponseType | None = None

    def is_done(self) -> bool:
        return self.first is not None

    async def defer(self, *, thinking: bool = False, ephemeral: bool = False) -> None:
        """Reply with a message that becomes the answer."""
        self.first = await self._reply(view=notice(_("In the queue …")))
        self.type = discord.InteractionResponseType.deferred_channel_message
        self._asked.extras["message_id"] = self.first.id

    async def send_message(self, content: str = "", *, ephemeral: bool = False, **said: Any) -> None:
        """Answer once and for all."""
        self.first = await self._reply(content=content, **said)
        self.type = discord.InteractionResponseType.channel_message

    async def send(self, content: str = "", *, ephemeral: bool = False, wait: bool = True, **said: Any) -> Any:
        """Say something more."""
        return await self._reply(content=content, **said)

    async def _reply(self, *, content: str = "", **said: Any) -> discord.Message:
        return await self._message.reply(content or None, mention_author=False, **said)


def _permissions(channel: Any, who: Any) -> discord.Permissions:
    """What somebody may do in a channel, as Discord's cache knows it."""
    if not isinstance(who, discord.Member):
        return discord.Permissions.none()
    try:
        return channel.permissions_for(who)  # type: ignore[no-any-return]
    except discord.ClientException:  # a thread whose channel isn't known
        return discord.Permissions.none()
