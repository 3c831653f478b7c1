"""The panel of a member's settings, and what its numbers mean. Pure: settings in, a fresh view out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, cast

import discord
from discord.ui import ActionRow, LayoutView, Section, Separator, TextDisplay

from bot.errors import BadInput
from bot.features.settings.store import Preferences
from bot.kit.button import Button
from bot.kit.components import ACCENT, view
from bot.kit.custom_ids import Action, ButtonId, SelectId
from bot.kit.modals import Form
from bot.kit.select import Select, row_of
from bot.languages.speech import N_, _
from bot.prompt.text import shown

SHAPES = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "21:9")
AS_IT_IS = "-"  # value of the option that sets nothing
SUBTLE = (
    (5, N_("hardly changes anything")),
    (10, N_("close")),
    (15, N_("default")),
    (25, N_("loose")),
    (35, N_("far")),
)
STRONG = ((40, N_("the same idea")), (50, N_("default")), (65, N_("only the mood stays")), (80, N_("almost new")))
MENTIONS = (1, 5, 15, 60)  # minutes
MAX_SUFFIX = 300


class Setting(IntEnum):
    """The number in an id."""

    MODEL = 0
    SHAPE = 1
    SUBTLE = 2
    STRONG = 3
    SUFFIX = 4
    REMIX = 5
    PRIVATE = 6
    PREVIEWS = 7
    RESET = 8
    MENTION = 9
    FILE_WORDS = 10


FIELDS = {
    Setting.MODEL: "model",
    Setting.SHAPE: "shape",
    Setting.SUBTLE: "subtle",
    Setting.STRONG: "strong",
    Setting.REMIX: "remix",
    Setting.PRIVATE: "private",
    Setting.PREVIEWS: "previews",
    Setting.MENTION: "mention_minutes",
    Setting.FILE_WORDS: "file_words",
}
"""Which of a member's settings a select or switch changes."""
LISTS = frozenset({Setting.MODEL, Setting.SHAPE, Setting.SUBTLE, Setting.STRONG, Setting.MENTION})
BUTTONS = frozenset(Setting) - LISTS


def setting_of(number: int, known: frozenset[Setting]) -> Setting:
    """The setting of an id, if it is one of the `known`. Raises: BadInput."""
    if number not in known:
        raise BadInput("That setting doesn't exist. Use /settings to see the ones that do.")
    return Setting(number)


def panel(mine: Preferences, models: Sequence[str]) -> LayoutView:
    """Show every setting with its value."""
    words = shown(mine.suffix, 200) if mine.suffix else _("none")
    return view(
        [
            TextDisplay(_("## Your settings\nThey apply in every server. What you set in a command takes precedence.")),
            _list(Setting.MODEL, _("Model"), [(key, key) for key in models], mine.model),
            _list(Setting.SHAPE, _("Size"), [(shape, shape) for shape in SHAPES], mine.shape),
            _steps(Setting.SUBTLE, _("V1-V4 and Vary (Subtle)"), SUBTLE, mine.subtle),
            _steps(Setting.STRONG, _("Vary (Strong)"), STRONG, mine.strong),
            _mentions(mine.mention_minutes),
            Section(
                _("**Added to every prompt**\n{words}", words=words),
                accessory=cast(Any, _button(Setting.SUFFIX, _("Edit"))),
            ),
            Separator(),
            ActionRow(
                _switch(Setting.REMIX, _("Remix on V"), mine.remix),
                _switch(Setting.PRIVATE, _("Private"), mine.private),
                _switch(Setting.PREVIEWS, _("Previews"), mine.previews),
                _switch(Setting.FILE_WORDS, _("Prompt in files"), mine.file_words),
                _button(Setting.RESET, _("Reset")),
            ),
            TextDisplay(
                _(
                    "-# **Remix on V** opens a form before each variation · With **Private**, only you see the answers "
                    "· "
                    "**Previews** show images while they're being generated · **Prompt in files**: whoever gets an "
                    "image's file can read the prompt in it"
                )
            ),
        ],
        ACCENT,
    )


def suffix_form(mine: Preferences) -> Form:
    """The form for the words added to every prompt."""
    form = Form(title=_("Added to every prompt"), custom_id=str(ButtonId(Action.SETTING, Setting.SUFFIX)), timeout=None)
    form.add_item(
        discord.ui.TextInput(
            label=_("Such as: soft light --ar 3:2 --no text"),
            custom_id="suffix",
            style=discord.TextStyle.paragraph,
            default=mine.suffix or None,
            required=False,
            max_length=MAX_SUFFIX,
        )
    )
    return form


def value_of(setting: Setting, chosen: str) -> str | int | None:
    """A select's value as the setting keeps it."""
    if setting in (Setting.SUBTLE, Setting.STRONG):
        return int(chosen) if chosen.isascii() and chosen.isdigit() and 1 <= int(chosen) <= 100 else 15
    if setting is Setting.MENTION:
        return int(chosen) if chosen in map(str, MENTIONS) else None
    return None if chosen == AS_IT_IS else chosen


def _list(setting: Setting, name: str, options: Sequence[tuple[str, str]], now: str | None) -> ActionRow[LayoutView]:
    usual = (_("{name}: the server's or model's default", name=name), AS_IT_IS)
    labelled = [(f"{name}: {label}", value) for label, value in options if value != now]
    own = [(f"{name}: {now}", now)] if now else []  # kept also when this version does not offer it
    choice = SelectId(Action.SETTING, setting)
    return row_of(Select.text(choice, [usual, *own, *labelled], now=(now or AS_IT_IS,)))


def _steps(setting: Setting, name: str, steps: Sequence[tuple[int, str]], now: int) -> ActionRow[LayoutView]:
    options = [(f"{name}: {percent} %, {_(what)}", str(percent)) for percent, what in steps]
    if now not in dict(steps):
        options.append((f"{name}: {now} %", str(now)))
    return row_of(Select.text(SelectId(Action.SETTING, setting), options, now=(str(now),)))


def _mentions(now: int | None) -> ActionRow[LayoutView]:
    options = [(_("Mention me: never"), AS_IT_IS)]
    options += [
        (_("Mention me: when it took over {minutes} min", minutes=minutes), str(minutes)) for minutes in MENTIONS
    ]
    return row_of(Select.text(SelectId(Action.SETTING, Setting.MENTION), options, now=(str(now or AS_IT_IS),)))


def _switch(setting: Setting, name: str, on: bool) -> Any:
    style = discord.ButtonStyle.success if on else discord.ButtonStyle.secondary
    return Button(ButtonId(Action.SETTING, setting), f"{name}: {_('on') if on else _('off')}", style=style)


def _button(setting: Setting, label: str) -> Any:
    return Button(ButtonId(Action.SETTING, setting), label)
