"""Reading gettext's .po files as they are: no step compiles them, so a wheel, a checkout and a test read the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from gettext import c2py
from pathlib import Path

FOLDER = Path(__file__).parent / "catalogues"
FIELD = re.compile(r'(?:(msgid|msgid_plural|msgstr)(?:\[(\d)\])? )?(".*")')


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A language's sentences by the English ones.

    Attributes:
        sentences: each in its forms: one, or as many as the language has for numbers.
        form: which of them is for a number.
    """

    sentences: Mapping[str, tuple[str, ...]]
    form: Callable[[int], int]

    def get(self, english: str, number: int | None = None) -> str | None:
        """The sentence in this language; None where it isn't translated."""
        forms = self.sentences.get(english)
        return None if forms is None else forms[0 if number is None else self.form(number)]


@cache
def catalogue(language: str) -> Catalogue:
    """The catalogue of a language that has one, such as "pt-BR"."""
    return parsed((FOLDER / f"{language}.po").read_text("utf-8"))


def parsed(text: str) -> Catalogue:
    """A .po file's sentences; those marked as fuzzy or left empty are not translated."""
    sentences: dict[str, tuple[str, ...]] = {}
    for block in re.split(r"\n{2,}", text):
        fields = _fields(block)
        forms = tuple(words for name, words in fields.items() if name.startswith("msgstr"))
        if fields and all(forms) and "#, fuzzy" not in block:
            sentences[fields["msgid"]] = forms
    header = sentences.pop("", ("",))[0]
    rule = re.search(r"plural=([^;]+)", header)
    return Catalogue(sentences, c2py(rule[1] if rule else "n != 1"))


def _fields(block: str) -> dict[str, str]:
    """An entry's strings by their names: msgid, msgid_plural, msgstr or msgstr0, msgstr1, ..."""
    fields: dict[str, str] = {}
    name = ""
    for line in block.splitlines():
        if match := FIELD.fullmatch(line):
            name = match[1] + (match[2] or "") if match[1] else name
            fields[name] = fields.get(name, "") + str(ast.literal_eval(match[3]))
    return fields
