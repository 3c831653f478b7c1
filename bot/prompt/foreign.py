"""Prompt syntax of other programs that nothing here carries out: told by name, never painted as words. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.errors import BadInput
from bot.prompt.text import quoted

_INSIDE = r"[^\[\]:|\\]{0,200}"  # bounded, so that no pattern takes more than linear time


@dataclass(frozen=True, slots=True)
class Form:
    """A form of writing: how it is found, what is said, and what stands in its place to go on."""

    pattern: re.Pattern[str]
    sentence: str
    instead: str


FORMS = (
    Form(
        re.compile(rf"(?<!\\)\[({_INSIDE}):({_INSIDE}):\s*\d{{0,4}}(?:\.\d{{1,4}})?\s*\]"),
        "Easel can't change words while it paints, as {} would in A1111.",
        r"\2",
    ),
    Form(
        re.compile(rf"(?<!\\)\[({_INSIDE})::\s*\d{{0,4}}(?:\.\d{{1,4}})?\s*\]"),
        "Easel can't drop words while it paints, as {} would in A1111.",
        r"\1",
    ),
    Form(
        re.compile(rf"(?<!\\)\[({_INSIDE})\|({_INSIDE})\]"),
        "Easel can't alternate words while it paints, as {} would in A1111. For one of them at random write {{a|b}}.",
        r"\1 \2",
    ),
    Form(re.compile(r"(?<=[a-z\d),.]) AND (?=[a-z\d(])"), "Easel can't join prompts with {}, as A1111 does.", " and "),
    Form(
        re.compile(r"<(?:lyco|hypernet):[^<>]{0,200}>"), "Easel doesn't read {}. A LoRA is written <lora:name:0.8>.", ""
    ),
    Form(
        re.compile(r"(?<![\w\\])__([\w/*-]{1,80}?)__(?!\w)"),
        "There is no word list {} here. For one of several words at random write {{a|b}}.",
        r"\1",
    ),
)


def check(prompt: str) -> None:
    """Raises: BadInput naming the first form that would be painted as words; `without` is left to the parser."""
    for form in FORMS:
        found = form.pattern.search(prompt)
        if found:
            shown = found[0].strip()
            raise BadInput(f"{form.sentence.format(f'`{_plain(shown)}`')} Nothing was charged.", foreign=True)


def simplified(line: str) -> str:
    """The line with plain words in the place of every such form."""
    for form in FORMS:
        line = form.pattern.sub(form.instead, line)
    return " ".join(line.split())


def _plain(text: str) -> str:
    """A short piece of a prompt inside a code span."""
    cut = "".join(char for char in text if char.isprintable() and char != "`")
    return cut if len(cut) <= 40 else quoted(cut)[1:-1]
