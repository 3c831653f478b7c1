"""/credits, which is also called /info, and /gift: a member's account, and giving from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Range

from bot.errors import BadInput, UserError
from bot.features.credits import views as credit_views
from bot.features.credits.service import Credits, Quotas
from bot.features.moderation.service import Moderation
from bot.jobs.service import Jobs
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import acknowledge, actor_of, public_locale
from bot.languages.speech import _, speak
from bot.ledger.amounts import credits_text
from bot.orders import drafts
from bot.orders.model_list import ModelList
from bot.prompt.parser import GRID
from bot.prompt.text import shown
from engine.api.model_info import ModelInfo

ENTRIES = 8


class Services(Protocol):
    """What this module works with."""

    credits: Credits
    quotas: Quotas
    moderation: Moderation
    jobs: Jobs
    models: ModelList


def install(client: Client, app: Services) -> None:
    """Add the commands to the client."""

    async def account(interaction: Interaction) -> None:
        """What you have, when it renews, what things cost, and what is running."""
        await acknowledge(interaction, private=True)
        user_id, guild_id = interaction.user.id, interaction.guild_id or 0
        terms = await app.quotas.terms(actor_of(interaction))
        view = credit_views.credits_view(
            await app.credits.balance(user_id, guild_id, terms),
            terms,
            await app.credits.entries(user_id, terms.paid_in(guild_id), ENTRIES),
            _costs(app.models()),
            active=len(await app.jobs.active(user_id, guild_id)),
            queued=await app.jobs.queue_length(),
            pauses=await app.moderation.pauses(guild_id),
        )
        await interaction.edit_original_response(view=view)

    for name in ("credits", "info"):  # the latter is what Midjourney calls it
        command = client.tree.command(name=name)(shows_errors(account))
        app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)(command)

    @client.tree.command()
    @app_commands.guild_only()
    @app_commands.describe(user="Who gets them", amount="How many; free credits can't be given")
    @shows_errors
    async def gift(
        interaction: discord.Interaction[Client], user: discord.User, amount: Range[float, 0.001, 1e6]
    ) -> None:
        """Give some of your credits to another member, if this server allows it."""
        giver = actor_of(interaction)
        await app.moderation.check_person(giver)
        cap_mc = (await app.quotas.server(giver.guild_id)).gifts_mc
        if cap_mc is None:
            raise UserError("Gifts are off in this server. An admin can turn them on with /admin quota gifts_a_day.")
        if user.bot or user.id == giver.user_id:
            raise BadInput("Choose another person. You can't give credits to bots or to yourself.")
        amount_mc = round(amount * 1000)
        await app.credits.gift(giver, user.id, amount_mc, cap_mc, str(interaction.id))
        speak(public_locale(interaction.guild, interaction.locale))
        people = {"giver": f"<@{giver.user_id}>", "person": f"<@{user.id}>"}
        text = _("🎁 {giver} gives {person} **{amount}**.", **people, amount=credits_text(amount_mc))
        await interaction.response.send_message(view=notice(text))


def _costs(models: Sequence[ModelInfo]) -> str:
    if not models:
        return _("No model is loaded yet.")
    info = models[0]
    grid, one = (credits_text(count * drafts.PICTURE_MC) for count in (GRID, 1))
    facts = {
        "width": info.width,
        "height": info.height,
        "steps": info.num_inference_steps,
        "model": shown(info.key, 80),
    }
    return _(
        "A grid of {count} at {width}x{height} and {steps} steps ({model}): "
        "**{grid}**. A single image (`--n 1`): **{one}**.\n"
        "Twice the pixels or twice the steps cost twice as much. Free: **U1-U4**, **/show**, **Seed**, and whatever "
        "fails: you only pay for images you get, and for the steps that were painted of a job you cancel.",
        **facts,
        count=GRID,
        grid=grid,
        one=one,
    )
