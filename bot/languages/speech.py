"""In which language a sentence is said: that of whoever is spoken to, which is known while they are answered.

A sentence is written in English where it is needed, `_("{left} credits left.", left=3)`, and looked up by that.
What has none in a language is said in English. `make messages` finds the sentences and puts them into the catalogues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot.languages.catalogue import catalogue, pattern

ENGLISH = "en"
LANGUAGES: Mapping[str, str] = {
    "de": "de",
    "fr": "fr",
    "es-ES": "es",
    "es-419": "es",
    "pt-BR": "pt-BR",
    "ja": "ja",
    "ko": "ko",
    "zh-CN": "zh-CN",
}
"""Catalogues by Discord's locales."""
MARKS: Mapping[str, tuple[str, str]] = {"de": (".", ","), "fr": ("\u202f", ","), "es": (".", ","), "pt-BR": (".", ",")}
"""Between thousands and before a fraction, where that isn't as in English. Source: Unicode CLDR 47."""
_language: ContextVar[str] = ContextVar("language", default=ENGLISH)


def speak(locale: object) -> None:
    """Speak the language of one of Discord's locales, or one that is kept with a job, from now on, in this task."""
    _language.set(_language_of(locale))


@contextmanager
def speaking(locale: object) -> Iterator[None]:
    """Speak another language for a while; as `speak`."""
    before = _language.set(_language_of(locale))
    try:
        yield
    finally:
        _language.reset(before)


def _language_of(locale: object) -> str:
    return LANGUAGES.get(str(locale), str(locale) if locale in LANGUAGES.values() else ENGLISH)


def accepted(header: str) -> str:
    """Discord's locale for what a browser's Accept-Language asks for first among those that are here; else English."""
    for asked in (part.split(";")[0].strip().lower() for part in header.split(",")):
        for locale in (*LANGUAGES, ENGLISH):
            if asked.split("-")[0] == locale.split("-")[0]:
                return locale
    return ENGLISH


def language() -> str:
    """The language that is spoken."""
    return _language.get()


def _(english: str, /, **values: object) -> str:
    """A sentence with its values, as `str.format` fills them in."""
    found = english if language() == ENGLISH else catalogue(language()).get(english) or english
    return found.format(**values) if values else found


def ngettext(one: str, many: str, n: int, /, **values: object) -> str:
    """A sentence about `n` things, which is also the value {n}."""
    found = None if language() == ENGLISH else catalogue(language()).get(one, n)
    return (found or (one if n == 1 else many)).format(n=n, **values)


def engine_words(english: str) -> str:
    """A sentence of the engine's, which comes with its values filled in and knows no other language."""
    if language() == ENGLISH:
        return english
    for words, translated in catalogue(language()).patterns:
        if match := words.fullmatch(english):
            return translated.format(**{name: engine_words(value) for name, value in match.groupdict().items()})
    return english


def stored(english: str, *templates: str) -> str:
    """A sentence that is kept in English, as it was said or as one of these templates with its values."""
    if (found := _(english)) != english:
        return found
    for template in templates:
        if match := pattern(template).fullmatch(english):
            return _(template, **match.groupdict())
    return engine_words(english)


def N_(english: str) -> str:
    """Mark a sentence for the catalogues that is said later, by `_`: a constant's."""
    return english


def number(english: str) -> str:
    """A number such as "1,234.5" with the marks of the language."""
    thousands, fraction = MARKS.get(language(), (",", "."))
    return english.translate({ord(","): thousands, ord("."): fraction})


def ordinal(n: int) -> str:
    """A place in a row: "3rd"; in other languages the number alone, for the sentence around it to say so."""
    if language() != ENGLISH:
        return str(n)
    suffix = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


@dataclass(frozen=True, slots=True)
class Later:
    """A value that is put into words when the sentence around it is said."""

    words: Callable[[], str]

    def __str__(self) -> str:
        return self.words()


def later(words: Callable[..., str], *about: Any, **values: Any) -> Later:
    """What `words(*about, **values)` will be in the language that is spoken then."""
    return Later(partial(words, *about, **values))
