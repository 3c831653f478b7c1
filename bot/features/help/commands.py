"""/help: five lines, and a button for each thing one may want to know more of."""

from __future__ import annotations

from typing import Protocol

from discord import ButtonStyle, app_commands
from discord.ui import LayoutView

from bot.errors import NotFound
from bot.features.help.views import PAGES, models_page
from bot.kit.button import Button
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.error_messages import shows_errors
from bot.languages.speech import N_, _
from engine.backend import Backend


class Services(Protocol):
    """What this module works with."""

    backend: Backend


def install(client: Client, app: Services) -> None:
    """Add the command and its buttons to the client."""

    @client.tree.command(name="help")
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @shows_errors
    async def help_(interaction: Interaction) -> None:
        """How to use Easel."""
        await interaction.response.send_message(view=_page(app, 0), ephemeral=True)

    @client.on_button(Action.HELP)
    async def turn(interaction: Interaction, number: int) -> None:
        await interaction.response.edit_message(view=_page(app, number))


def _page(app: Services, number: int) -> LayoutView:
    """A page with the buttons to all of them. Raises: NotFound."""
    titles = [*PAGES, N_("Models")]
    if number >= len(titles):
        raise NotFound("There's no such page. Use /help.")
    text = _(PAGES[titles[number]]) if number < len(PAGES) else models_page(app.backend.models())
    buttons = [
        Button(
            ButtonId(Action.HELP, at),
            _(title),
            style=ButtonStyle.primary if at == number else ButtonStyle.secondary,
            disabled=at == number,
        )
        for at, title in enumerate(titles)
    ]
    return notice(text, *buttons)
