"""What every message is built of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import discord
from discord.ui import ActionRow, Container, LayoutView, MediaGallery, TextDisplay

from bot.kit.button import Button
from bot.languages.speech import _

ACCENT = discord.Colour(0x5B8DEF)
DONE = discord.Colour(0x57A773)
BROKEN = discord.Colour(0xD1603D)
LIST_CHARS = 3500  # of one list; a message holds 4,000 in all
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


def listing(title: str, lines: Iterable[str], empty: str) -> LayoutView:
    """A list, cut where a message ends."""
    shown_lines, room = [f"**{title}**"], LIST_CHARS
    rest = list(lines) or [empty]
    while rest and len(rest[0]) < room:
        room -= len(rest[0]) + 1
        shown_lines.append(rest.pop(0))
    if rest:
        shown_lines.append("-# " + _("… and {n} more", n=len(rest)))
    return notice("\n".join(shown_lines))


def buttons_view(*buttons: Button) -> discord.ui.View:
    """Buttons under a message of plain text; up to five."""
    layout = discord.ui.View(timeout=None)
    for each in buttons:
        layout.add_item(cast(Any, each))
    return layout
