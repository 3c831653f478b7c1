"""/credits and /gift: one's own account, and giving from it."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import Range

from bot.delivery import layouts
from bot.errors import BadInput, UserError
from bot.features.credits import views as credit_views
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import acknowledge, actor_of
from bot.orders import drafts
from bot.prompt.parser import GRID
from bot.prompt.text import shown

ENTRIES = 8


def install(client: Client) -> None:
    """Add the commands to the client."""

    @client.tree.command(name="credits")
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @shows_errors
    async def credits_(interaction: Interaction) -> None:
        """What you have, when it renews, what things cost, and your last entries."""
        await acknowledge(interaction, private=True)
        studio, guild_id = interaction.client.studio, interaction.guild_id or 0
        terms = await interaction.client.studio.submission.terms(interaction)
        balance = await studio.jobs.balance(interaction.user.id, guild_id, terms)
        entries = await studio.store.entries(interaction.user.id, guild_id, ENTRIES)
        mine = await studio.store.active(interaction.user.id, guild_id)
        view = credit_views.credits_view(balance, terms, entries, _costs(interaction), len(mine))
        await interaction.edit_original_response(view=view)

    @client.tree.command()
    @app_commands.guild_only()
    @app_commands.describe(user="Who gets them", amount="Credits, of those that stay; free ones cannot be given")
    @shows_errors
    async def gift(
        interaction: discord.Interaction[Client], user: discord.User, amount: Range[float, 0.001, 1e6]
    ) -> None:
        """Give somebody some of your credits, where the server allows it."""
        await _gift(interaction, user, round(amount * 1000))


def _costs(interaction: Interaction) -> str:
    models = interaction.client.studio.backend.models()
    if not models:
        return "No model is loaded yet."
    info = models[0]
    grid, one = (layouts.credits_text(count * drafts.PICTURE_MC) for count in (GRID, 1))
    return (
        f"A grid of {GRID} at {info.width}x{info.height} and {info.num_inference_steps} steps ({shown(info.key, 80)}): "
        f"**{grid}**. One picture of it (`--n 1`): **{one}**.\n"
        "Twice the pixels or twice the steps cost twice as much. Free: **U1-U4**, **/show**, **Seed**, and whatever "
        "fails or is cancelled: you pay only for pictures you get."
    )


async def _gift(interaction: Interaction, user: discord.User | discord.Member, amount_mc: int) -> None:
    """Raises: UserError."""
    studio, guild_id = interaction.client.studio, interaction.guild_id or 0
    await studio.moderation.check_person(interaction.user.id, guild_id)
    cap_mc = (await studio.quotas.server(guild_id)).gifts_mc
    if cap_mc is None:
        raise UserError("Gifts are off in this server. An admin can switch them on with /admin quota gifts_a_day.")
    if user.bot or user.id == interaction.user.id:
        raise BadInput("Choose another person. Bots and yourself cannot be given credits.")
    await studio.credits.gift(actor_of(interaction), user.id, amount_mc, cap_mc, str(interaction.id))
    text = f"🎁 <@{interaction.user.id}> gives <@{user.id}> **{layouts.credits_text(amount_mc)}**."
    await interaction.response.send_message(view=notice(text))
