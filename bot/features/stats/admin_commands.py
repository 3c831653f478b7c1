"""/admin stats and announce: what happened here, and telling every server something."""

from __future__ import annotations

import asyncio
import io
from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Range

from bot.features.audit.service import Audit
from bot.features.moderation.service import Moderation
from bot.features.stats import charts
from bot.features.stats import service as stats
from bot.features.stats import store as statistics
from bot.features.stats.broadcast import announce_button, ask_to_announce
from bot.features.stats.store import Figures
from bot.features.stats.views import stats_view
from bot.kit.checks import check_operator, guarded
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.store.clock import Clock
from bot.store.key_value_store import KeyValues
from bot.store.store import Store

MAX_DAYS = 90
ANNOUNCEMENT_CHARS = 2000


class Services(Protocol):
    """What this module works with."""

    audit: Audit
    clock: Clock
    moderation: Moderation
    store: Store
    key_values: KeyValues


def install(client: Client, group: app_commands.Group, app: Services) -> None:
    """Add the subcommands to /admin, and their buttons to the client."""
    _stats(app, group)

    @group.command()
    @app_commands.describe(text="What every server is to read; it is shown to you first")
    @guarded
    async def announce(interaction: Interaction, text: Range[str, 1, ANNOUNCEMENT_CHARS]) -> None:
        """Tell every server something (for those who run this bot)."""
        check_operator(interaction)
        await ask_to_announce(app, interaction, text)

    @client.on_button(Action.ANNOUNCE)
    async def announced(interaction: Interaction, number: int) -> None:
        check_operator(interaction)
        await announce_button(app, interaction, number)


# ------------------------------------------------------------------ stats
def _stats(app: Services, group: app_commands.Group) -> None:
    @group.command(name="stats")
    @app_commands.describe(
        days="How many days, today included", everywhere="Of every server; for those who run this bot"
    )
    @guarded
    async def stats_(interaction: Interaction, days: Range[int, 1, MAX_DAYS] = 30, everywhere: bool = False) -> None:
        """Pictures, members, waiting and painting times, credits and refusals: a chart and a table."""
        if everywhere:
            check_operator(interaction)
        await interaction.response.defer(thinking=True, ephemeral=True)
        await show_stats(app, interaction, days, everywhere=everywhere)


async def show_stats(app: Services, interaction: Interaction, days: int, *, everywhere: bool = False) -> None:
    """Answer with the chart and the table."""
    found = await figures_of(app, interaction, days, None if everywhere else interaction.guild_id)
    picture = await asyncio.to_thread(charts.stats, found)
    files = [
        discord.File(io.BytesIO(picture), filename="stats.png"),
        discord.File(io.BytesIO(stats.to_csv(found)), filename="stats.csv"),
    ]
    await interaction.edit_original_response(view=stats_view(found, everywhere=everywhere), attachments=files)


async def figures_of(app: Services, interaction: Interaction, days: int, guild_id: int | None) -> Figures:
    return await app.store.read(statistics.figures, guild_id, days, app.clock.now_ms())
