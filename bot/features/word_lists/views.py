"""Word lists in words, and the form that changes one. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import discord
from discord.ui import LayoutView

from bot.features.word_lists.store import WordList
from bot.kit.components import listing, notice
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.modals import Form
from bot.languages.speech import N_, _
from bot.prompt.text import shown

EMPTY = N_(
    "There are none yet. **/words save** `name:colour` `words:red, blue, green` keeps one; then write `__colour__`."
)


def listed(server: Sequence[WordList], mine: Sequence[WordList]) -> LayoutView:
    """All lists that can be named here, with what they begin with."""
    hidden = {each.name for each in mine}
    lines = [f"{_line(each)} · {_('yours')}" for each in mine]
    lines += [_line(each) for each in server if each.name not in hidden]
    return listing(_("Word lists"), lines, _(EMPTY))


def shown_list(each: WordList) -> LayoutView:
    """Every entry of a list."""
    return listing(
        _("{name}: {n} entries", name=shown(each.name), n=len(each.words)),
        (shown(word, 210) for word in each.words),
        _(EMPTY),
    )


def saved(new: WordList) -> LayoutView:
    """What is kept now."""
    told = _("Kept the server's list {line}") if new.guild_id else _("Kept your list {line}")
    seeds = _("Each job draws one by its seed: the same seed, the same words.")
    return notice(f"{told.format(line=_line(new))}\n-# {seeds}")


def edit_form(number: int, each: WordList) -> Form:
    """The form with a list's entries, one a line."""
    form = Form(title=_("Word list"), custom_id=str(ButtonId(Action.WORD_LIST, number)), timeout=None)
    form.add_item(discord.ui.TextInput(label=_("Name"), custom_id="name", default=each.name, max_length=60))
    form.add_item(
        discord.ui.TextInput(
            label=_("Entries, one a line"),
            custom_id="words",
            style=discord.TextStyle.paragraph,
            default="\n".join(each.words)[:4000],
            max_length=4000,
        )
    )
    return form


def _line(each: WordList) -> str:
    return f"`__{each.name}__` {len(each.words)}: {shown(', '.join(each.words), 150)}"
