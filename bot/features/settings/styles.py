"""Styles of a server: their names, what a template may be, and finding them. Pure; knows no Discord."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from bot.errors import BadInput
from bot.features.settings.store import Style
from bot.languages.speech import _, later
from bot.prompt.parser import has_flags
from bot.prompt.text import is_blank, quoted, visible

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
PLACE = "{prompt}"
MAX_STYLES = 100  # of a server
MAX_STACKED = 5
MAX_TEMPLATE_CHARS, MAX_NEGATIVE_CHARS = 1000, 500


def read_names(text: str) -> tuple[str, ...]:
    """`ink,gold` as names; `none` is none. Raises: BadInput."""
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    if names == ("none",):
        return ()
    if len(names) > MAX_STACKED:
        raise BadInput(
            "{count_names} styles are too many. Use up to {max_stacked} at once.",
            count_names=len(names),
            max_stacked=MAX_STACKED,
        )
    for name in names:
        if not NAME.fullmatch(name):
            raise BadInput(
                "{name} isn't a valid style name. Use lowercase letters, digits and dashes.", name=quoted(name)
            )
    return names


def make(name: str, template: str, negative: str = "", example_job: int | None = None) -> Style:
    """A new style. Raises: BadInput."""
    names = read_names(name)
    if len(names) != 1:
        raise BadInput("A style needs one name in lowercase letters, digits and dashes, such as ink-drawing.")
    template, negative = visible(template), visible(negative)
    if PLACE not in template and not is_blank(template):
        template = f"{PLACE}, {template}"  # people who leave the place out mean it so
    if template.count(PLACE) != 1:
        raise BadInput("A template needs {prompt} exactly once, for example: ink drawing of {prompt}, fine lines.")
    check_words(template)
    check_words(negative)
    if len(template) > MAX_TEMPLATE_CHARS or len(negative) > MAX_NEGATIVE_CHARS:
        raise BadInput(
            "That's too long. The limits are {max_template_chars:,} and {max_negative_chars} (negative) characters.",
            max_template_chars=MAX_TEMPLATE_CHARS,
            max_negative_chars=MAX_NEGATIVE_CHARS,
        )
    return Style(name=names[0], template=template, negative=negative, example_job=example_job)


def check_words(text: str) -> None:
    """What is laid around prompts is words: a flag in it would be painted. Raises: BadInput."""
    if has_flags(text):
        raise BadInput(
            "Only words can be here: a flag would become part of the picture. Sizes, steps and the like belong into a "
            "prompt, into /settings or, for everyone, into `/admin defaults`."
        )


def find_styles(known: Sequence[Style], names: Sequence[str]) -> list[Style]:
    """The styles of these names, in this order. Raises: BadInput naming what is there."""
    by_name = {style.name: style for style in known}
    for name in names:
        if name not in by_name:
            near = get_close_matches(name, by_name, n=1, cutoff=0.5)
            mend = later(_mend, near, list(by_name))
            raise BadInput("This server has no style {name}. {mend}", name=quoted(name), mend=mend)
    return [by_name[name] for name in names]


def _mend(near: Sequence[str], names: Sequence[str]) -> str:
    if near:
        return _("Did you mean {near}?", near=near[0])
    if not names:
        return _("It doesn't have any yet. People with **Manage Server** can add one with /style add.")
    return _("It has {names}. See /style list.", names=", ".join(names[:20]) + (" …" if len(names) > 20 else ""))
