"""Telling every server something: asked about first, then sent one by one, slowly."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Protocol

import discord

from bot.errors import NotFound, NotYours
from bot.features.audit.service import Audit
from bot.features.moderation.service import Moderation
from bot.kit.button import Button
from bot.kit.client import Interaction
from bot.kit.components import NOBODY, notice
from bot.kit.custom_ids import Action, ButtonId
from bot.store.key_value_store import KeyValues

log = logging.getLogger(__name__)
PACE_S = 1.0  # between servers; Discord allows 50 requests a second to a bot, for everything it does


class Services(Protocol):
    """What this module works with."""

    audit: Audit
    moderation: Moderation
    key_values: KeyValues


async def ask_to_announce(app: Services, interaction: Interaction, text: str) -> None:
    """Show an announcement to its author, with a button that sends it."""
    client = interaction.client
    await app.key_values.remember(f"announce:{interaction.id}", json.dumps([interaction.user.id, text]))
    button = Button(
        ButtonId(Action.ANNOUNCE, interaction.id),
        f"Send to {len(client.guilds)} servers",
        style=discord.ButtonStyle.danger,
        emoji="📣",
    )
    view = notice(f"{text}\n-# As every server will see it.", button)
    await interaction.response.send_message(view=view, ephemeral=True)


async def announce_button(app: Services, interaction: Interaction, number: int) -> None:
    """Send what was asked about; a second press finds nothing. Raises: NotFound, NotYours."""
    key = f"announce:{number}"
    kept = await app.key_values.take(key)
    if kept is None:
        raise NotFound("This announcement was sent already.")
    author, text = json.loads(kept)
    if author != interaction.user.id:
        await app.key_values.remember(key, kept)
        raise NotYours("Only the person who wrote the announcement may send it.")
    await interaction.response.edit_message(view=notice("Sending …"))
    reached = await _send_everywhere(app, interaction, text)
    total = len(interaction.client.guilds)
    await app.audit.record(0, interaction.user.id, "announce.send", "", {"text": text, "reached": reached})
    answer = notice(f"Sent to {reached} of {total} servers. The others have no channel where I may write.")
    try:
        await interaction.edit_original_response(view=answer)
    except discord.HTTPException as error:  # many servers take longer than the 15 minutes of a reply
        log.info("announced to %d of %d servers; nobody is left to tell: %s", reached, total, error)


async def _send_everywhere(app: Services, interaction: Interaction, text: str) -> int:
    reached = 0
    for guild in list(interaction.client.guilds):
        if reached:
            await asyncio.sleep(PACE_S)
        reached += await _send(app, interaction, guild, text)
    return reached


async def _send(app: Services, interaction: Interaction, guild: discord.Guild, text: str) -> bool:
    """Whether one of the server's channels took it: the audit channel, or where Discord itself posts."""
    rules = await app.moderation.rules(guild.id)
    audit = guild.get_channel(rules.audit_channel) if rules.audit_channel else None
    for channel in (audit, guild.public_updates_channel, guild.system_channel):
        if isinstance(channel, discord.TextChannel) and channel.permissions_for(guild.me).send_messages:
            try:
                await channel.send(view=notice(text), allowed_mentions=NOBODY)
            except discord.HTTPException as error:
                log.info("an announcement was refused in server %d: %s", guild.id, error)
                continue
            return True
    return False
