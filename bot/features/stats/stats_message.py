"""Answering with the figures of some days: for the command and for the panel's buttons."""

from __future__ import annotations

import io

import discord

from bot.features.stats import charts
from bot.features.stats import service as stats
from bot.features.stats.service import Statistics
from bot.features.stats.views import PICTURE, TABLE, stats_view
from bot.kit.client import Interaction
from bot.threads.pools import PICTURES

MAX_DAYS = 90


async def show_stats(statistics: Statistics, interaction: Interaction, days: int, *, everywhere: bool = False) -> None:
    """Answer with the chart and the table of this server, or of all; the interaction is acknowledged already."""
    found = await statistics.figures(None if everywhere else interaction.guild_id, days)
    picture = await PICTURES.run(charts.stats, found)
    files = [
        discord.File(io.BytesIO(picture), filename=PICTURE),
        discord.File(io.BytesIO(stats.to_csv(found)), filename=TABLE),
    ]
    await interaction.edit_original_response(view=stats_view(found, everywhere=everywhere), attachments=files)
