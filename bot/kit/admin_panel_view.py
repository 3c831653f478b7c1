"""The frame of the admins' panel, and the small forms it opens. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import discord
from discord.ui import ActionRow, LayoutView, Separator, TextDisplay

from bot.kit.button import Button
from bot.kit.components import ACCENT, view
from bot.kit.custom_ids import Action, ButtonId, SelectId
from bot.kit.modals import Form
from bot.kit.select import Select, row_of
from bot.languages.speech import _

SHORT, LONG = discord.TextStyle.short, discord.TextStyle.paragraph


@dataclass(frozen=True, slots=True)
class Tab:
    """What the list of pages shows of one.

    Attributes:
        label, about: marked for translation.
        number: its place in the list. Old messages hold it too, so another page never gets it.
        moderators: whether the page is for moderators too, not for admins alone. operators: whether it's only for those
            who run the bot.
    """

    number: int
    label: str
    emoji: str
    about: str
    moderators: bool = False
    operators: bool = False


def frame(tabs: Sequence[Tab], now: Tab, parts: Sequence[Any], note: str = "") -> LayoutView:
    """One page below the list of all; `note` says what was just changed."""
    pages = [(f"{tab.emoji} {_(tab.label)}", str(tab.number)) for tab in tabs]
    about = [_(tab.about) for tab in tabs]
    choice = SelectId(Action.PANEL, 0)
    top: list[Any] = [
        TextDisplay(f"## {now.emoji} {_(now.label)}\n{_(now.about)}"),
        row_of(Select.text(choice, pages, now=(str(now.number),), notes=about)),
    ]
    end: list[Any] = [Separator(), TextDisplay(f"✅ {note}")] if note else []
    return view([*top, *parts, *end], ACCENT)


def buttons(*row: Button) -> ActionRow[LayoutView]:
    """Up to five side by side."""
    cells: tuple[Any, ...] = row
    return ActionRow(*cells)


def button(action: Action, number: int, label: str, *, on: bool | None = None, danger: bool = False) -> Button:
    """A button of the panel; with `on` it is a switch and says so."""
    style = discord.ButtonStyle.danger if danger else discord.ButtonStyle.secondary
    if on is not None:
        label = _("{label}: on", label=label) if on else _("{label}: off", label=label)
        style = discord.ButtonStyle.success if on else style
    return Button(ButtonId(action, number), label, style=style)


def ask(title: str, action: Action, number: int, *fields: discord.ui.TextInput[Form]) -> Form:
    """A form whose answer goes to the client's handler of `action`."""
    form = Form(title=title[:45], custom_id=str(ButtonId(action, number)), timeout=None)
    for each in fields:
        form.add_item(each)
    return form


def line(
    name: str, label: str, now: str = "", most: int = 100, *, needed: bool = False, hint: str = ""
) -> discord.ui.TextInput[Form]:
    """One line of a form; `hint` stands in it while it is empty."""
    return discord.ui.TextInput(
        label=label[:45],
        custom_id=name,
        style=SHORT,
        default=now or None,
        required=needed,
        max_length=most,
        placeholder=hint or None,
    )


def text(name: str, label: str, now: str = "", most: int = 500, *, needed: bool = False) -> discord.ui.TextInput[Form]:
    """Several lines of a form."""
    return discord.ui.TextInput(
        label=label[:45], custom_id=name, style=LONG, default=now or None, required=needed, max_length=most
    )
