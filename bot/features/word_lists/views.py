"""Word lists in words, and the form that changes one. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import discord
from discord.ui import LayoutView

from bot.features.word_lists.store import WordList
from bot.kit.components import listing, notice
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.modals import Form
from bot.prompt.text import shown

EMPTY = "There are none yet. **/words save** `name:colour` `words:red, blue, green` keeps one; then write `__colour__`."


def listed(server: Sequence[WordList], mine: Sequence[WordList]) -> LayoutView:
    """All lists that can be named here, with what they begin with."""
    hidden = {each.name for each in mine}
    lines = [f"{_line(each)} · yours" for each in mine]
    lines += [_line(each) for each in server if each.name not in hidden]
    return listing("Word lists", lines, EMPTY)


def shown_list(each: WordList) -> LayoutView:
    """Every entry of a list."""
    return listing(f"{shown(each.name)}: {len(each.words)} entries", (shown(word, 210) for word in each.words), EMPTY)


def saved(new: WordList) -> LayoutView:
    """What is kept now."""
    whose = "the server's list" if new.guild_id else "your list"
    return notice(f"Kept {whose} {_line(new)}\n-# Each job draws one by its seed: the same seed, the same words.")


def edit_form(number: int, each: WordList) -> Form:
    """The form with a list's entries, one a line."""
    form = Form(title="Word list", custom_id=str(ButtonId(Action.WORD_LIST, number)), timeout=None)
    form.add_item(discord.ui.TextInput(label="Name", custom_id="name", default=each.name, max_length=60))
    form.add_item(
        discord.ui.TextInput(
            label="Entries, one a line",
            custom_id="words",
            style=discord.TextStyle.paragraph,
            default="\n".join(each.words)[:4000],
            max_length=4000,
        )
    )
    return form


def _line(each: WordList) -> str:
    return f"`__{each.name}__` {len(each.words)}: {shown(', '.join(each.words), 150)}"
