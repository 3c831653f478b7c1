"""/admin, /admin panel and /moderate: the group and the message that features add their subcommands and pages to.

A page's buttons, lists and forms are found by their ids, so the message works after a restart; each press asks again
whether this member may do that.
"""

from __future__ import annotations

import discord
from discord import app_commands

from bot.kit.admin_panel import AdminArea, Panel
from bot.kit.checks import check_moderator, moderated
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action


def install(client: Client) -> AdminArea:
    """Add the group with the panel to the client; what the other features add to."""
    group = app_commands.Group(
        name="admin",
        description="For people who manage this server: who can do what.",
        guild_only=True,
        default_permissions=discord.Permissions(manage_guild=True),
    )
    panel = Panel()

    @client.tree.command()
    @app_commands.guild_only()
    @moderated
    async def moderate(interaction: Interaction) -> None:
        """For moderators: reports, members, words and jobs in one message."""
        await panel.open(interaction)

    @group.command(name="panel")
    @moderated
    async def panel_(interaction: Interaction) -> None:
        """Manage Easel from one message: quotas, members, channels, words, pauses, defaults."""
        await panel.open(interaction)

    @client.on_select(Action.PANEL)
    async def turn_to(interaction: Interaction, _number: int, values: tuple[str, ...]) -> None:
        check_moderator(interaction)
        await panel.show(interaction, int(values[0]) if values[0].isdecimal() else 0)

    @client.on_button(Action.PANEL)
    async def show(interaction: Interaction, number: int) -> None:
        check_moderator(interaction)
        await panel.show(interaction, number)

    client.tree.add_command(group)
    return AdminArea(group, panel)
