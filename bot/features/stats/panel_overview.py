"""The panel's first page: today's numbers, and statistics."""

from __future__ import annotations

from typing import Any, Protocol

from discord.ui import TextDisplay

from bot.features.moderation import views
from bot.features.moderation.service import Moderation
from bot.features.stats import service as stats
from bot.features.stats.service import Statistics
from bot.features.stats.stats_message import MAX_DAYS, show_stats
from bot.jobs.service import Jobs
from bot.kit.admin_panel import Panel
from bot.kit.admin_panel_view import Tab, button, buttons
from bot.kit.checks import check_admin
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.languages.speech import N_, _
from bot.ledger.amounts import amount_text

TAB = Tab(0, N_("Overview"), "📊", N_("What's happening here, now and over time."))
PERIODS = (7, 30, MAX_DAYS)  # days


class Services(Protocol):
    """What this module works with."""

    jobs: Jobs
    moderation: Moderation
    statistics: Statistics


def install(client: Client, panel: Panel, app: Services) -> None:
    """Add the page."""
    panel.add(TAB, lambda interaction: parts(app, interaction))

    @client.on_button(Action.FIGURES)
    async def figures(interaction: Interaction, days: int) -> None:
        check_admin(interaction)
        await interaction.response.defer(thinking=True, ephemeral=True)
        await show_stats(app.statistics, interaction, min(max(1, days), MAX_DAYS))


async def parts(app: Services, interaction: Interaction) -> list[Any]:
    guild_id = interaction.guild_id or 0
    today = (await app.statistics.figures(guild_id, 1)).total
    active = await app.jobs.active_in(guild_id)
    painting = sum(job.state == "running" for job in active)
    pauses = [views.pause_line(each) for each in await app.moderation.pauses(guild_id)]
    wait, run = stats.seconds(today.wait_ms) or "–", stats.seconds(today.render_ms) or "–"
    lines = [
        *(pauses or [_("Easel works as usual here.")]),
        _(
            "**Today** images {images} · members {members} · credits {credits} · refusals {refusals}",
            images=today.images,
            members=today.members,
            credits=amount_text(today.credits_mc),
            refusals=today.refusals,
        ),
        _("**Medians** waiting {wait} s · generating {run} s", wait=wait, run=run),
        _(
            "**Now** running {running} · queued {queued} · queued in all servers {everywhere}",
            running=painting,
            queued=len(active) - painting,
            everywhere=await app.jobs.queue_length(),
        ),
    ]
    periods = [button(Action.FIGURES, days, _("Last {n} days", n=days)) for days in PERIODS]
    return [TextDisplay("\n".join(lines)), buttons(*periods, button(Action.PANEL, 0, _("Refresh")))]
