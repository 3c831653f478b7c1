"""What is asked before every command, menu, button, list and form: the server, who moderates it, and who is banned."""

from __future__ import annotations

from typing import Any

import discord

from bot.features.moderation.service import Moderation
from bot.features.servers import user_installs
from bot.features.servers.allow_list import AllowList
from bot.features.servers.direct_messages import DirectMessages
from bot.kit.client import Client
from bot.kit.interactions import MODERATOR_ROLE, actor_of, is_about_own_data


def install(client: Client, allow_list: AllowList, direct_messages: DirectMessages, moderation: Moderation) -> None:
    """Add the checks to the client, in their order."""

    async def note_moderator_role(interaction: discord.Interaction[Any]) -> None:
        if interaction.guild_id is not None:
            interaction.extras[MODERATOR_ROLE] = (await moderation.rules(interaction.guild_id)).moderator_role

    async def check_banned(interaction: discord.Interaction[Any]) -> None:
        if not is_about_own_data(interaction):  # a ban takes nobody's right to what is kept about them
            await moderation.check_person(actor_of(interaction))

    for check in (user_installs.check, allow_list.check, note_moderator_role, direct_messages.check, check_banned):
        client.add_check(check)
