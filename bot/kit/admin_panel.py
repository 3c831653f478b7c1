"""What features add their admins' parts to: the group /admin and the pages of its panel. Knows no feature."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import discord
from discord import app_commands
from discord.ui import LayoutView

from bot.kit.admin_panel_view import Tab, frame
from bot.kit.checks import check_moderator
from bot.kit.client import Interaction

Parts = Callable[[Interaction], Awaitable[list[Any]]]


class Panel:
    """The pages, in the order of their numbers."""

    def __init__(self) -> None:
        self._pages: dict[int, tuple[Tab, Parts]] = {}

    def add(self, tab: Tab, parts: Parts) -> None:
        """Add a page; `parts` makes what is on it."""
        assert tab.number not in self._pages, f"two pages have the number {tab.number}"
        self._pages[tab.number] = tab, parts

    async def open(self, interaction: Interaction, page: Tab | None = None) -> None:
        """Answer a command with a page, the first one if none is named, for their eyes only."""
        view = await self._view(interaction, page.number if page else 0, "")
        await interaction.response.send_message(view=view, ephemeral=True)

    async def show(self, interaction: Interaction, page: int | Tab, note: str = "") -> None:
        """Turn the message to a page; `note` says what was changed."""
        number = page if isinstance(page, int) else page.number
        view = await self._view(interaction, number, note)
        await _change(interaction, view, ())

    async def show_parts(
        self,
        interaction: Interaction,
        page: Tab,
        parts: list[Any],
        note: str = "",
        files: Sequence[discord.File] = (),
    ) -> None:
        """Show something else under a page's name: one member, say. `files` are the pictures in it."""
        view = frame(self._tabs(interaction), page, parts, note)
        await _change(interaction, view, files)

    def _tabs(self, interaction: Interaction) -> list[Tab]:
        """The pages that are for this person, in order. Raises: NotYours where none is."""
        actor = check_moderator(interaction)
        tabs = (self._pages[number][0] for number in sorted(self._pages))
        mine = (tab for tab in tabs if actor.may_administer or tab.moderators)
        return [tab for tab in mine if actor.is_operator or not tab.operators]

    async def _view(self, interaction: Interaction, number: int, note: str) -> LayoutView:
        tabs = self._tabs(interaction)
        tab = next((tab for tab in tabs if tab.number == number), tabs[0])  # else one of another version, or not theirs
        _, parts = self._pages[tab.number]
        return frame(tabs, tab, await parts(interaction), note)


async def _change(interaction: Interaction, view: LayoutView, files: Sequence[discord.File]) -> None:
    """Change the panel's message, acknowledged or not."""
    if interaction.response.is_done():
        await interaction.edit_original_response(view=view, attachments=files)
    else:
        await interaction.response.edit_message(view=view, attachments=files)


@dataclass(frozen=True, slots=True)
class AdminArea:
    """What a feature gets when it installs itself.

    A subcommand is written `@area.group.command()` above `@guarded`, or `@moderated` where it is for moderators too: a
    server can change Discord's own permissions of commands, so they are checked again.
    """

    group: app_commands.Group
    panel: Panel
