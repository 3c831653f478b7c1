"""What every message is built of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import discord
from discord.ui import ActionRow, Container, LayoutView, MediaGallery, TextDisplay

from bot.kit.button import Button

ACCENT = discord.Colour(0x5B8DEF)
DONE = discord.Colour(0x57A773)
BROKEN = discord.Colour(0xD1603D)
NOBODY = discord.AllowedMentions.none()  # words of members never ping anyone


def gallery(filename: str, description: str, *, spoiler: bool = False) -> MediaGallery[LayoutView]:
    """An attached picture, with a text for those who cannot see it (at most 1,024 characters)."""
    item = discord.MediaGalleryItem(f"attachment://{filename}", description=description, spoiler=spoiler)
    return MediaGallery(item)


def row(*buttons: Button) -> ActionRow[LayoutView]:
    """Up to five buttons side by side."""
    return ActionRow(*cast(tuple[Any, ...], buttons))  # a DynamicItem is an Item[BaseView] to the type checker


def view(parts: Sequence[discord.ui.Item[LayoutView]], colour: discord.Colour) -> LayoutView:
    """A message of these parts; 40 components in all."""
    # never a timeout: a view that ends takes its button class out of the whole bot
    layout = LayoutView(timeout=None)
    layout.add_item(Container(*parts, accent_colour=colour))
    return layout


def notice(text: str, *buttons: Button) -> LayoutView:
    """A short answer, with buttons if any."""
    return view([TextDisplay(text), *([row(*buttons)] if buttons else [])], ACCENT)
