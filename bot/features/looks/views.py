"""How a server's styles from pictures are shown. Pure: looks in, a fresh view out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from discord.ui import ActionRow, LayoutView, Section, TextDisplay, Thumbnail

from bot.features.looks.store import Look
from bot.kit.button import Button
from bot.kit.components import ACCENT, notice, view
from bot.kit.custom_ids import Action, ButtonId

PAGE = 5
EMPTY = (
    "This server doesn't have any styles from pictures yet. People with **Manage Server** can make one: "
    "**/style from** `name:ink-wash` and one to eight pictures."
)


def codes(looks: Sequence[Look], pictured: Collection[str], page: int, total: int) -> LayoutView:
    """A page of looks; those of `pictured`, by code, have a file `look-CODE.webp` attached."""
    if not looks:
        return notice(EMPTY if not total else "That's all there are.")
    parts: list[Any] = [TextDisplay("## Styles from pictures\nUse them in a prompt of **/imagine**.")]
    for look in looks:
        text = f"**{look.name}**\n`--sref {look.code}`{' in any server' if look.everywhere else ''}"
        text += f"\n-# {_count(look)}{', for age-restricted channels' if look.aged else ''}"
        if look.code in pictured:
            picture = Thumbnail[Any](f"attachment://look-{look.code}.webp", description=f"The style {look.name}")
            parts.append(Section(text, accessory=picture))
        else:
            parts.append(TextDisplay(text))
    turns = [(page - 1, "Back", "◀️")] if page else []
    turns += [(page + 1, "More", "▶️")] if (page + 1) * PAGE < total else []
    if turns:
        parts.append(ActionRow(*[_turn(*turn) for turn in turns]))
    return view(parts, ACCENT)


def kept(look: Look) -> LayoutView:
    """What somebody reads who has just made one."""
    where = "in any server that has this Easel" if look.everywhere else "in this server"
    return notice(
        f"The style **{look.name}** was made from {_count(look)}. Its code works {where}:\n"
        f"`/imagine prompt:a cat --sref {look.code}`\n"
        f"-# Here `--sref {look.name}` works too, and `--oref` takes the things of its pictures. The pictures are kept "
        "with it until somebody removes it with **/style forget**."
    )


def _count(look: Look) -> str:
    return "one picture" if len(look.pictures) == 1 else f"{len(look.pictures)} pictures"


def _turn(page: int, label: str, emoji: str) -> Any:
    return Button(ButtonId(Action.LOOKS, page), label, emoji=emoji)
