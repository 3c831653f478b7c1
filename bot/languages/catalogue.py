"""Reading gettext's .po files as they are: no step compiles them, so a wheel, a checkout and a test read the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from gettext import c2py
from pathlib import Path

FOLDER = Path(__file__).parent / "catalogues"
ENGINE = "engine"  # the context of sentences that come with their values filled in
VALUE = re.compile(r"([^{}]*)\{(\w*)\}")
FIELD = re.compile(r'(?:(msgctxt|msgid|msgid_plural|msgstr)(?:\[(\d)\])? )?(".*")')


@dataclass(frozen=True)  # no slots: the patterns are made once
class Catalogue:
    """A language's sentences by the English ones.

    Attributes:
        sentences: each in its forms: one, or as many as the language has for numbers.
        engine: the engine's, which come with their values filled in and are recognised by their words.
        form: which of them is for a number.
    """

    sentences: Mapping[str, tuple[str, ...]]
    engine: Mapping[str, str]
    form: Callable[[int], int]

    def get(self, english: str, number: int | None = None) -> str | None:
        """The sentence in this language; None where it isn't translated."""
        forms = self.sentences.get(english)
        return None if forms is None else forms[0 if number is None else self.form(number)]

    @cached_property
    def patterns(self) -> Sequence[tuple[re.Pattern[str], str]]:
        """What recognises the engine's sentences, with their translations; those with most words of their own first."""
        longest = sorted(self.engine, key=lambda english: len(VALUE.sub(r"\1", english)), reverse=True)
        return [(pattern(english), self.engine[english]) for english in longest]


@cache
def catalogue(language: str) -> Catalogue:
    """The catalogue of a language that has one, such as "pt-BR"."""
    return parsed((FOLDER / f"{language}.po").read_text("utf-8"))


def parsed(text: str) -> Catalogue:
    """A .po file's sentences; those marked as fuzzy or left empty are not translated."""
    sentences: dict[str, tuple[str, ...]] = {}
    engine: dict[str, str] = {}
    for block in re.split(r"\n{2,}", text):
        fields = _fields(block)
        forms = tuple(words for name, words in fields.items() if name.startswith("msgstr"))
        if not fields or not all(forms) or "#, fuzzy" in block:
            continue
        if fields.get("msgctxt") == ENGINE:
            engine[fields["msgid"]] = forms[0]
        else:
            sentences[fields["msgid"]] = forms
    header = sentences.pop("", ("",))[0]
    rule = re.search(r"plural=([^;]+)", header)
    return Catalogue(sentences, engine, c2py(rule[1] if rule else "n != 1"))


def pattern(english: str) -> re.Pattern[str]:
    """What recognises a sentence whose values are filled in: "{n} steps are out of range"."""
    seen: set[str] = set()
    parts = []
    for words, name in VALUE.findall(english + "{}"):
        parts.append(re.escape(words))
        if name:
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>.+?)")
            seen.add(name)
    return re.compile("".join(parts), re.S)


def _fields(block: str) -> dict[str, str]:
    """An entry's strings by their names: msgid, msgid_plural, msgstr or msgstr0, msgstr1, ..."""
    fields: dict[str, str] = {}
    name = ""
    for line in block.splitlines():
        if match := FIELD.fullmatch(line):
            name = match[1] + (match[2] or "") if match[1] else name
            fields[name] = fields.get(name, "") + str(ast.literal_eval(match[3]))
    return fields
