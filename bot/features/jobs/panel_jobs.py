"""The panel's page for jobs: everyone's queued and running ones, each with a button that cancels it."""

from __future__ import annotations

from typing import Any, Protocol

from bot.features.jobs.service import ModeratedJobs
from bot.features.jobs.views import active_parts
from bot.kit.admin_panel import Panel
from bot.kit.admin_panel_view import Tab
from bot.kit.client import Interaction
from bot.kit.interactions import viewer_of
from bot.languages.speech import N_

TAB = Tab(8, N_("Jobs"), "⏳", N_("Everyone's queued and running jobs."), moderators=True)


class Services(Protocol):
    """What this page works with."""

    moderated_jobs: ModeratedJobs


def install(panel: Panel, app: Services) -> None:
    """Add the page."""

    async def parts(interaction: Interaction) -> list[Any]:
        return active_parts(await app.moderated_jobs.active(interaction.guild_id or 0), viewer_of(interaction))

    panel.add(TAB, parts)
