"""Announcements to every server: confirmed first, then sent one by one, slowly."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from typing import Protocol

import discord

from bot.features.audit.service import Audit
from bot.features.audit.store import EVERYWHERE
from bot.features.moderation.service import Moderation
from bot.features.stats import acts
from bot.kit.button import Button
from bot.kit.client import Interaction
from bot.kit.components import NOBODY, notice
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.interactions import actor_of
from bot.languages.speech import N_, _
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
    await app.key_values.remember(f"{acts.PENDING}{interaction.id}", json.dumps([interaction.user.id, text]))
    button = Button(
        ButtonId(Action.ANNOUNCE, interaction.id),
        _("Send to {n} servers", n=len(client.guilds)),
        style=discord.ButtonStyle.danger,
        emoji="📣",
    )
    view = notice(text + "\n" + _("-# This is how every server will see it."), button)
    await interaction.response.send_message(view=view, ephemeral=True)


async def announce_button(app: Services, interaction: Interaction, number: int) -> None:
    """Send what was asked about; a second press finds nothing. Raises: NotFound, NotYours."""
    await interaction.response.defer()
    servers = len(interaction.client.guilds)
    text = await app.audit.perform(acts.announce, actor_of(interaction), EVERYWHERE, number, servers)
    await _show(interaction, _("Sending …"))
    reached = await _send_everywhere(app, interaction, text)
    sent = N_("Sent to {reached} of {servers} servers. In the others, I can't post in any channel.")
    await _show(interaction, _(sent, reached=reached, servers=servers))
    try:
        await app.audit.record(EVERYWHERE, interaction.user.id, "announce.sent", "", {"reached": reached})
    except sqlite3.Error:  # what was sent stays sent: it must not look like a failure
        log.warning("that %d of %d servers were told was not noted", reached, servers, exc_info=True)


async def _show(interaction: Interaction, text: str) -> None:
    """Say how it goes, if the author can still be told: many servers take longer than the 15 minutes of a reply."""
    try:
        await interaction.edit_original_response(view=notice(text))
    except discord.HTTPException as error:
        log.info("the author of an announcement can't be told: %s (%s)", text, error)


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
