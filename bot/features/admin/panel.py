"""/admin panel: everything of /admin in one message, page by page.

A page is a module with `TAB`, `parts(app, interaction)` and `install(client, panel, app)`. Its buttons, lists and forms
are found by their ids, so the message works after a restart; each press asks again whether this member may administer.
"""

from __future__ import annotations

from typing import Protocol

from discord import app_commands

from bot.features.audit.service import Audit
from bot.features.credits import panel_members, panel_quotas
from bot.features.credits.names import LoadedNames
from bot.features.credits.service import Credits, Quotas
from bot.features.moderation import panel_channels, panel_pause, panel_words
from bot.features.moderation.service import Moderation
from bot.features.settings import panel_defaults
from bot.features.settings.service import PreferenceService
from bot.features.stats import panel_overview
from bot.jobs.service import Jobs
from bot.kit.admin_panel import Panel
from bot.kit.checks import check_admin, guarded
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.store.clock import Clock
from bot.store.key_value_store import KeyValues
from bot.store.store import Store
from engine.backend import Backend


class Services(Protocol):
    """What this module works with."""

    audit: Audit
    backend: Backend
    clock: Clock
    credits: Credits
    jobs: Jobs
    moderation: Moderation
    preferences: PreferenceService
    quotas: Quotas
    store: Store
    key_values: KeyValues


def install(client: Client, group: app_commands.Group, app: Services) -> None:
    """Add the subcommand, and every page's buttons, lists and forms to the client."""
    panel = Panel()
    panel.add(panel_overview.TAB, lambda interaction: panel_overview.parts(app, interaction))
    panel_overview.install(client, panel, app)
    panel_quotas.install(client, panel, quotas=app.quotas, names=LoadedNames(app.backend.models), clock=app.clock)
    panel_members.install(
        client,
        panel,
        panel_members.Services(
            credits=app.credits,
            quotas=app.quotas,
            moderation=app.moderation,
            jobs=app.jobs,
            clock=app.clock,
        ),
    )
    panel.add(panel_channels.TAB, lambda interaction: panel_channels.parts(app, interaction))
    panel_channels.install(client, panel, app)
    panel.add(panel_words.TAB, lambda interaction: panel_words.parts(app, interaction))
    panel_words.install(client, panel, app)
    panel.add(panel_pause.TAB, lambda interaction: panel_pause.parts(app, interaction))
    panel_pause.install(client, panel, app)
    panel.add(panel_defaults.TAB, lambda interaction: panel_defaults.parts(app, interaction))
    panel_defaults.install(client, panel, app)

    panel_quotas.install_limits(client, panel, quotas=app.quotas, names=LoadedNames(app.backend.models))

    @group.command(name="panel")
    @guarded
    async def panel_(interaction: Interaction) -> None:
        """Run this server's Easel from one message: quotas, people, channels, words, pauses, defaults."""
        await panel.open(interaction)

    @client.on_select(Action.PANEL)
    async def turn_to(interaction: Interaction, _number: int, values: tuple[str, ...]) -> None:
        check_admin(interaction)
        await panel.show(interaction, int(values[0]) if values[0].isdecimal() else 0)

    @client.on_button(Action.PANEL)
    async def show(interaction: Interaction, number: int) -> None:
        check_admin(interaction)
        await panel.show(interaction, number)
