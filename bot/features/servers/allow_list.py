"""The servers Easel works in, where those who run it name them; others are left with a sentence."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

import discord

from bot.errors import Refused
from bot.kit.components import NOBODY
from bot.kit.interactions import is_about_own_data, server_locale
from bot.languages.speech import N_, _, later, speaking

log = logging.getLogger(__name__)
ELSEWHERE = N_("This Easel works in other servers only.")


class AllowList:
    """The setting `EASEL_SERVERS`; without any, every server is allowed."""

    def __init__(self, servers: Collection[int]) -> None:
        self._servers = frozenset(servers)

    def allows(self, guild_id: int) -> bool:
        return not self._servers or guild_id in self._servers

    async def check(self, interaction: discord.Interaction[Any]) -> None:
        """Before every command, button and form; direct messages have rules of their own. Raises: Refused."""
        if interaction.guild_id and not self.allows(interaction.guild_id) and not is_about_own_data(interaction):
            raise Refused("{elsewhere} Nothing was charged.", elsewhere=later(_, ELSEWHERE))

    async def joined(self, guild: discord.Guild) -> None:
        """Leave a server that isn't allowed, having said why; also one that added the bot while it was away."""
        if self.allows(guild.id):
            return
        log.warning("leaving the server %d, which is not among EASEL_SERVERS", guild.id)
        try:
            await _say_why(guild)
        except discord.HTTPException as error:
            log.info("the server %d could not be told why: %s", guild.id, error)
        try:
            await guild.leave()
        except discord.HTTPException as error:
            log.warning("the server %d could not be left: %s", guild.id, error)


async def _say_why(guild: discord.Guild) -> None:
    """In the channel for such messages, or the first one where we may."""
    for channel in filter(None, (guild.system_channel, *guild.text_channels)):
        may = channel.permissions_for(guild.me)
        if may.view_channel and may.send_messages:
            with speaking(server_locale(guild)):
                why = _("{why} Whoever runs it can allow this one: its id is {id}.", why=_(ELSEWHERE), id=guild.id)
            await channel.send(why, allowed_mentions=NOBODY)
            return
