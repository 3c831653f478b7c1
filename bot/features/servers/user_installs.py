"""Easel as an app of one's own: the setting `EASEL_USER_INSTALLS`.

Discord lets people bring an app along, into servers that never added it and into conversations of their own. Easel is
no member there: it sees no roles, has no channel to post in, and may answer for 15 minutes only. So what holds in
direct messages holds there, and what comes later is written as a direct message.
"""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands
from discord.app_commands import AppCommandContext, AppInstallationType

from bot.kit.client import Client

ANYWHERE = AppCommandContext(guild=True, dm_channel=True, private_channel=True)
SERVERS_ONLY = AppInstallationType(guild=True, user=False)
PEOPLE_TOO = AppInstallationType(guild=True, user=True)


def declare(client: Client, allowed: bool) -> None:
    """Say of every command whether people may bring it along: if it works in direct messages, and this is `allowed`.

    Left unsaid, Discord would go by what the developer portal says of the whole app.
    """
    for command in client.tree.get_commands():
        carried = allowed and _works_in_direct_messages(command)
        command.allowed_installs = PEOPLE_TOO if carried else SERVERS_ONLY
        if carried:
            command.allowed_contexts = ANYWHERE


async def check(interaction: discord.Interaction[Any]) -> None:
    """Before every other check: in a server that never added Easel, everyone is as in a direct message.

    Also who presses a button of what another person brought along.
    """
    guild_id = interaction.guild_id
    if guild_id and interaction.client.get_guild(guild_id) is None and not interaction.is_guild_integration():
        interaction.guild_id = None


def _works_in_direct_messages(command: app_commands.Command[Any, ..., Any] | Any) -> bool:
    contexts = command.allowed_contexts
    return contexts is not None and bool(contexts.dm_channel)
