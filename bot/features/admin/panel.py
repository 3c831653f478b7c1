"""/admin panel: everything of /admin in one message, page by page.

A page is a module with `TAB`, `parts(interaction)` and `install(client, panel)`. Its buttons, lists and forms are found
by their ids, so the message works after a restart; each press asks again whether this person may administer.
"""

from __future__ import annotations

from discord import app_commands

from bot.features.credits import panel_members, panel_quotas
from bot.features.credits.names import LoadedNames
from bot.features.moderation import panel_channels, panel_pause, panel_words
from bot.features.settings import panel_defaults
from bot.features.stats import panel_overview
from bot.kit.admin_panel import Panel
from bot.kit.checks import check_admin, guarded
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action

PAGES = (panel_channels, panel_words, panel_pause, panel_defaults)


def install(client: Client, group: app_commands.Group) -> None:
    """Add the subcommand, and every page's buttons, lists and forms to the client."""
    panel, studio = Panel(), client.studio
    panel.add(panel_overview.TAB, panel_overview.parts)
    panel_overview.install(client, panel)
    panel_quotas.install(
        client, panel, quotas=studio.quotas, names=LoadedNames(studio.backend.models), clock=studio.clock
    )
    panel_members.install(
        client,
        panel,
        panel_members.Services(
            credits=studio.credits,
            quotas=studio.quotas,
            moderation=studio.moderation,
            jobs=studio.jobs,
            clock=studio.clock,
        ),
    )
    for page in PAGES:
        panel.add(page.TAB, page.parts)
        page.install(client, panel)

    panel_quotas.install_limits(client, panel, quotas=studio.quotas, names=LoadedNames(studio.backend.models))

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
