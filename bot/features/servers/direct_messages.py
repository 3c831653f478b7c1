"""What holds in direct messages: the setting `EASEL_DIRECT_MESSAGES`.

With `shared`, a member brings along who they are in every server that they share with the bot: each one's bans, words,
channels, pauses and limits hold, and one of them pays. Membership is asked of Discord, for the bot has no privileged
intent, and remembered for a few minutes; the rules themselves are always those of now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import discord

from bot.errors import Busy, Refused
from bot.kit.interactions import SHARED, is_about_own_data
from bot.languages.speech import N_
from bot.orders.actor import Actor
from bot.store.clock import Clock
from bot.store.ttl_cache import TTLCache

Mode = Literal["off", "shared", "on"]
FRESH_MS = 300_000
LOOK_S = 2.0  # Discord wants an answer within three
AT_ONCE = 20  # questions to Discord, which allows 50 a second
OFF = N_("Easel is off in direct messages. Use it in a server.")
STRANGER = N_(
    "In direct messages, Easel works for members of its servers, and I can't find one we share. Join one first."
)
SLOW = N_("Discord is slow to say which servers we share. Try again in a moment; nothing was charged.")


class DirectMessages:
    """Who somebody is in the servers that they share with the bot."""

    def __init__(self, client: discord.Client, mode: Mode, is_operator: Callable[[int], bool], clock: Clock) -> None:
        self._client, self._mode, self._is_operator = client, mode, is_operator
        self._known = TTLCache(clock, FRESH_MS)
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def check(self, interaction: discord.Interaction[Any]) -> None:
        """Before every command, button and form: see whether direct messages work, and whose rules hold there.

        Raises: Refused, Busy.
        """
        if interaction.guild_id is None and not is_about_own_data(interaction):
            interaction.extras[SHARED] = await self.shared(interaction.user.id)

    async def shared(self, user_id: int) -> tuple[Actor, ...]:
        """Somebody in each server whose rules hold in their direct messages; those who run the bot have none.

        Raises: Refused, Busy.
        """
        if self._mode == "on" or self._is_operator(user_id):
            return ()
        if self._mode == "off":
            raise Refused(OFF)
        try:
            found = await asyncio.wait_for(self._known.get(user_id, lambda: self._look(user_id)), LOOK_S)
        except (TimeoutError, discord.HTTPException):
            raise Busy(SLOW) from None
        if not found:
            raise Refused(STRANGER)
        return found

    async def _look(self, user_id: int) -> tuple[Actor, ...]:
        guilds = sorted(self._client.guilds, key=lambda guild: guild.id)
        found = await asyncio.gather(*(self._member(guild, user_id) for guild in guilds))
        return tuple(filter(None, found))

    async def _member(self, guild: discord.Guild, user_id: int) -> Actor | None:
        try:
            async with self._turns:
                member = guild.get_member(user_id) or await guild.fetch_member(user_id)
        except discord.NotFound:
            return None
        return Actor(
            user_id=user_id,
            guild_id=guild.id,
            channel_id=0,
            role_ids=frozenset(role.id for role in member.roles),
            is_admin=member.guild_permissions.manage_guild,
        )
