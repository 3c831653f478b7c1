"""The panel's pages and how one is shown. Knows nothing of what is on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from discord.ui import LayoutView

from bot.kit.admin_panel_view import Tab, frame
from bot.kit.client import Interaction

Parts = Callable[[Interaction], Awaitable[list[Any]]]


class Panel:
    """The pages in their order."""

    def __init__(self) -> None:
        self._pages: list[tuple[Tab, Parts]] = []

    def add(self, tab: Tab, parts: Parts) -> None:
        """Add a page at the end."""
        self._pages.append((tab, parts))

    async def open(self, interaction: Interaction) -> None:
        """Answer a command with the first page, for the admin's eyes only."""
        await interaction.response.send_message(view=await self._view(interaction, 0, ""), ephemeral=True)

    async def show(self, interaction: Interaction, page: int | Tab, note: str = "") -> None:
        """Turn the message to a page; `note` says what was changed."""
        number = page if isinstance(page, int) else [tab for tab, _ in self._pages].index(page)
        number = number if number < len(self._pages) else 0  # a page of another version
        await interaction.response.edit_message(view=await self._view(interaction, number, note))

    async def show_parts(self, interaction: Interaction, page: Tab, parts: list[Any], note: str = "") -> None:
        """Show something else under a page's name: one person, say."""
        tabs = [tab for tab, _ in self._pages]
        await interaction.response.edit_message(view=frame(tabs, tabs.index(page), parts, note))

    async def _view(self, interaction: Interaction, number: int, note: str) -> LayoutView:
        _, parts = self._pages[number]
        return frame([tab for tab, _ in self._pages], number, await parts(interaction), note)
