"""Appeals: asking the admins in the audit channel, and telling the member what they decided."""

from __future__ import annotations

import logging
from typing import Protocol

import discord

from bot.errors import MissingPermission
from bot.features.moderation import views
from bot.features.moderation.service import Moderation
from bot.features.moderation.store import Appeal
from bot.kit.checks import check_moderator
from bot.kit.client import Client, Interaction
from bot.kit.components import NOBODY, notice
from bot.kit.custom_ids import Action
from bot.kit.interactions import actor_of
from bot.prompt.text import block

log = logging.getLogger(__name__)


class Services(Protocol):
    """What this module works with."""

    moderation: Moderation


def install(client: Client, app: Services) -> None:
    """Add the buttons to the client."""

    @client.on_button(Action.APPEAL)
    async def appeal(interaction: Interaction, appeal_id: int) -> None:
        await interaction.response.defer()
        await _post(client, app.moderation, await app.moderation.appeal(actor_of(interaction), appeal_id))
        view = notice("Your appeal was sent to this server's admins. You'll get a direct message with their decision.")
        await interaction.edit_original_response(content=None, view=view)

    @client.on_button(Action.APPROVE)
    async def approve(interaction: Interaction, appeal_id: int) -> None:
        await _decide(app.moderation, interaction, appeal_id, approve=True)

    @client.on_button(Action.DENY)
    async def deny(interaction: Interaction, appeal_id: int) -> None:
        await _decide(app.moderation, interaction, appeal_id, approve=False)


async def _post(client: Client, moderation: Moderation, appeal: Appeal) -> None:
    """Post an appeal in the audit channel, or take it back if that fails. Raises: MissingPermission."""
    rules = await moderation.rules(appeal.guild_id)
    try:
        if rules.audit_channel is None:
            raise MissingPermission("There's no audit channel any more.")
        channel = client.get_partial_messageable(rules.audit_channel)
        await channel.send(view=views.appeal(appeal), allowed_mentions=NOBODY)
    except (discord.HTTPException, MissingPermission) as error:
        await moderation.withdraw(appeal)
        raise MissingPermission("I couldn't post your appeal. Tell an admin of this server.") from error


async def _decide(moderation: Moderation, interaction: Interaction, appeal_id: int, *, approve: bool) -> None:
    decided = await moderation.decide(check_moderator(interaction), appeal_id, approve=approve)
    await interaction.response.edit_message(view=views.appeal(decided))
    await _tell(interaction.client, decided)


async def _tell(client: Client, appeal: Appeal) -> None:
    """Tell the member, if their direct messages are open."""
    approved = appeal.state == "approved"
    text = "Your appeal was approved. You can use this prompt now." if approved else "Your appeal was denied."
    try:
        user = await client.fetch_user(appeal.user_id)
        await user.send(view=notice(f"{text}\n{block(appeal.prompt, 1500)}"), allowed_mentions=NOBODY)
    except discord.HTTPException as error:
        log.info("a decision could not be told: %s", error)
