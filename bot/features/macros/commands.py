"""/prefer: keep, see and remove one's macros."""

from __future__ import annotations

from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.features.macros.service import MAX_VALUE_CHARS, Macros
from bot.kit.client import Client, Interaction
from bot.kit.components import listing, notice
from bot.kit.error_messages import shows_errors
from bot.languages.speech import N_, _
from bot.prompt.text import shown

NAME = "Its name: mine for --mine"
EMPTY = N_("None yet. **/prefer save** `name:mine` `value:--ar 3:2 soft light` makes `--mine` stand for that.")


class Services(Protocol):
    """What this module works with."""

    macros: Macros


def install(client: Client, app: Services) -> None:
    """Add the commands to the client."""
    group = app_commands.Group(
        name="prefer",
        description="Your own flags, each standing for words and flags.",
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
    )

    @group.command()
    @app_commands.describe(name=NAME, value="What it stands for: --ar 3:2 --no text, soft light")
    @shows_errors
    async def save(
        interaction: discord.Interaction[Client], name: Range[str, 1, 40], value: Range[str, 1, MAX_VALUE_CHARS]
    ) -> None:
        """Keep words and flags under a name, or change them."""
        kept = await app.macros.save(interaction.user.id, name, value)
        text = _("`--{kept}` in a prompt stands for: {value}", kept=kept, value=shown(value, 600))
        await interaction.response.send_message(view=notice(text), ephemeral=True)

    @group.command(name="list")
    @shows_errors
    async def list_(interaction: Interaction) -> None:
        """See what you keep."""
        mine = await app.macros.of(interaction.user.id)
        lines = [f"`--{name}` {shown(value, 300)}" for name, value in mine.items()]
        await interaction.response.send_message(view=listing(_("Your macros"), lines, _(EMPTY)), ephemeral=True)

    @group.command()
    @app_commands.describe(name=NAME)
    @shows_errors
    async def remove(interaction: Interaction, name: Range[str, 1, 40]) -> None:
        """Forget one."""
        gone = await app.macros.remove(interaction.user.id, name)
        await interaction.response.send_message(view=notice(_("Removed `--{gone}`.", gone=gone)), ephemeral=True)

    @remove.autocomplete("name")
    async def names(interaction: Interaction, typed: str) -> list[Choice[str]]:
        mine = [name for name in await app.macros.of(interaction.user.id) if typed.strip("- ").casefold() in name]
        return [Choice(name=name, value=name) for name in mine[:25]]

    client.tree.add_command(group)
