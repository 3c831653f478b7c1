"""How a server's styles from pictures are shown. Pure: looks in, a fresh view out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from discord.ui import ActionRow, LayoutView, Section, TextDisplay, Thumbnail

from bot.features.looks.store import Look
from bot.kit.button import Button
from bot.kit.components import ACCENT, notice, view
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import N_, _, ngettext

PAGE = 5
EMPTY = N_(
    "This server doesn't have any styles from pictures yet. People with **Manage Server** can make one: "
    "**/style from** `name:ink-wash` and one to eight pictures."
)


def codes(looks: Sequence[Look], pictured: Collection[str], page: int, total: int) -> LayoutView:
    """A page of looks; those of `pictured`, by code, have a file `look-CODE.webp` attached."""
    if not looks:
        return notice(_(EMPTY) if not total else _("That's all there are."))
    parts: list[Any] = [TextDisplay(_("## Styles from pictures\nUse them in a prompt of **/imagine**."))]
    for look in looks:
        about = [_count(look)]
        about += [_("in any server")] if look.everywhere else []
        about += [_("for age-restricted channels")] if look.aged else []
        text = "\n".join([f"**{look.name}**", f"`--sref {look.code}`", "-# " + " · ".join(about)])
        if look.code in pictured:
            picture = Thumbnail[Any](
                f"attachment://look-{look.code}.webp", description=_("The style {name}", name=look.name)
            )
            parts.append(Section(text, accessory=picture))
        else:
            parts.append(TextDisplay(text))
    turns = [(page - 1, _("Back"), "◀️")] if page else []
    turns += [(page + 1, _("More"), "▶️")] if (page + 1) * PAGE < total else []
    if turns:
        parts.append(ActionRow(*[_turn(*turn) for turn in turns]))
    return view(parts, ACCENT)


def kept(look: Look) -> LayoutView:
    """What somebody reads who has just made one."""
    where = _("in any server that has this Easel") if look.everywhere else _("in this server")
    return notice(
        _(
            "The style **{name}** was made from {pictures}. Its code works {where}:\n"
            "`/imagine prompt:a cat --sref {code}`\n"
            "-# Here `--sref {name}` works too, and `--oref` takes the things of its pictures. The pictures are kept "
            "with it until somebody removes it with **/style forget**.",
            name=look.name,
            pictures=_count(look),
            where=where,
            code=look.code,
        )
    )


def _count(look: Look) -> str:
    return ngettext("one picture", "{n} pictures", len(look.pictures))


def _turn(page: int, label: str, emoji: str) -> Any:
    return Button(ButtonId(Action.LOOKS, page), label, emoji=emoji)
