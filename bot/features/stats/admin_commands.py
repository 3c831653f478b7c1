"""/admin stats and announce: a server's statistics, and announcements to every server."""

from __future__ import annotations

from typing import Protocol

from discord import app_commands
from discord.app_commands import Range

from bot.features.audit.service import Audit
from bot.features.moderation.service import Moderation
from bot.features.stats import panel_overview
from bot.features.stats.broadcast import announce_button, ask_to_announce
from bot.features.stats.service import Statistics
from bot.features.stats.stats_message import MAX_DAYS, show_stats
from bot.jobs.service import Jobs
from bot.kit.admin_panel import AdminArea
from bot.kit.checks import check_operator, guarded
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.store.key_value_store import KeyValues

ANNOUNCEMENT_CHARS = 2000


class Services(Protocol):
    """What this module works with."""

    audit: Audit
    jobs: Jobs
    key_values: KeyValues
    moderation: Moderation
    statistics: Statistics


def install(client: Client, area: AdminArea, app: Services) -> None:
    """Add the subcommands of /admin with their buttons, and the page of its panel."""
    _stats(app, area.group)
    panel_overview.install(client, area.panel, app)

    @area.group.command()
    @app_commands.describe(text="The text for every server; you'll see it first")
    @guarded
    async def announce(interaction: Interaction, text: Range[str, 1, ANNOUNCEMENT_CHARS]) -> None:
        """Post a message in every server (only for those who run this bot)."""
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
        days="How many days, including today", everywhere="In every server (only for those who run this bot)"
    )
    @guarded
    async def stats_(interaction: Interaction, days: Range[int, 1, MAX_DAYS] = 30, everywhere: bool = False) -> None:
        """Images, members, waiting and generation times, credits and refusals: a chart and a table."""
        if everywhere:
            check_operator(interaction)
        await interaction.response.defer(thinking=True, ephemeral=True)
        await show_stats(app.statistics, interaction, days, everywhere=everywhere)
