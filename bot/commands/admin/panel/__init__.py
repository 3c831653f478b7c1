"""/admin panel: everything of /admin in one message, page by page.

A page is a module with `TAB`, `parts(interaction)` and `install(client, panel)`. Its buttons, lists and forms are found
by their ids, so the message works after a restart; each press asks again whether this person may administer.
"""

from __future__ import annotations

from discord import app_commands

from bot.client import Client, Interaction
from bot.commands.admin.guard import check_admin, guarded
from bot.commands.admin.panel import channels, defaults, members, overview, pause, quotas, words
from bot.commands.admin.panel.frame import Panel
from bot.views.ids import Action

PAGES = (overview, quotas, members, channels, words, pause, defaults)


def install(client: Client, group: app_commands.Group) -> None:
    """Add the subcommand, and every page's buttons, lists and forms to the client."""
    panel = Panel()
    for page in PAGES:
        panel.add(page.TAB, page.parts)
        page.install(client, panel)

    @group.command(name="panel")
    @guarded
    async def panel_(interaction: Interaction) -> None:
        """Run this server's Easel from one message: quotas, people, channels, words, pauses, defaults."""
        await panel.open(interaction)

    @client.on_choice(Action.PANEL)
    async def turn_to(interaction: Interaction, _number: int, values: tuple[str, ...]) -> None:
        check_admin(interaction)
        await panel.show(interaction, int(values[0]) if values[0].isdecimal() else 0)

    @client.on_press(Action.PANEL)
    async def show(interaction: Interaction, number: int) -> None:
        check_admin(interaction)
        await panel.show(interaction, number)
