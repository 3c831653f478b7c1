"""/admin gallery: whether everyone may see this server's gallery in a browser."""

from __future__ import annotations

from typing import Protocol

import discord
from discord import app_commands

from bot.errors import BadInput
from bot.features.history.gallery_page import GalleryPage
from bot.features.history.service import History
from bot.kit.admin_panel import AdminArea
from bot.kit.checks import check_admin, guarded
from bot.kit.client import Client
from bot.kit.components import notice
from bot.languages.speech import _


class Services(Protocol):
    """What this module works with."""

    gallery_page: GalleryPage
    history: History


def install(area: AdminArea, app: Services) -> None:
    """Add the subcommand to /admin."""

    @area.group.command(name="gallery")
    @app_commands.describe(public="Everyone who has the address sees what hangs in the gallery channel")
    @guarded
    async def gallery(interaction: discord.Interaction[Client], public: bool) -> None:
        """Show this server's gallery in the browser to everyone, or to no one."""
        by = check_admin(interaction)
        link = app.gallery_page.public_link(by.guild_id)
        if public and link is None:
            raise BadInput("Easel has no web server here. Whoever runs it can set EASEL_WEB_ADDRESS.")
        await app.history.open_gallery(by, is_open=public)
        opened = _("Everyone can see this server's gallery: {link}", link=link)
        text = opened if public else _("The gallery's page is closed.")
        await interaction.response.send_message(view=notice(text), ephemeral=True)
