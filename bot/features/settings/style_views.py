"""The gallery of a server's styles. Pure: styles in, a fresh view out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from discord.ui import ActionRow, LayoutView, Section, TextDisplay, Thumbnail

from bot.features.settings.store import Style
from bot.kit.button import Button
from bot.kit.components import ACCENT, view
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import N_, _
from bot.prompt.text import shown

PAGE = 5
EMPTY = N_(
    "This server doesn't have any styles yet. People with **Manage Server** can add one: "
    "**/style add** `name:ink` `template:ink drawing of {prompt}, fine lines`"
)


def gallery(styles: Sequence[Style], pictured: Collection[str], page: int, total: int) -> LayoutView:
    """A page of styles; those of `pictured` have a file `style-NAME.webp` attached."""
    if not styles:
        return view([TextDisplay(_(EMPTY) if not total else _("That's all the styles there are."))], ACCENT)
    parts: list[Any] = [TextDisplay(_("## Styles\nUse them with `style:` of **/imagine**, or `--style ink,gold`."))]
    for style in styles:
        text = f"**{style.name}**\n{shown(style.template, 500)}"
        text += _("\n-# Negative prompt: {negative}", negative=shown(style.negative, 200)) if style.negative else ""
        if style.name in pictured:
            picture = Thumbnail[Any](
                f"attachment://style-{style.name}.webp", description=_("An image in the style {name}", name=style.name)
            )
            parts.append(Section(text, accessory=picture))
        else:
            parts.append(TextDisplay(text))
    turns = [(page - 1, "Back", "◀️")] if page else []
    turns += [(page + 1, "More", "▶️")] if (page + 1) * PAGE < total else []
    if turns:
        parts.append(ActionRow(*[_turn(*turn) for turn in turns]))
    return view(parts, ACCENT)


def _turn(page: int, label: str, emoji: str) -> Any:
    return Button(ButtonId(Action.STYLES, page), label, emoji=emoji)
