"""In which language a sentence is said."""

from __future__ import annotations

import asyncio

import pytest

from bot.languages import speech
from bot.languages.catalogue import catalogue, parsed
from bot.languages.speech import ENGLISH, _, language, later, ngettext, number, speak, speaking

SMALL = """msgid ""
msgstr "Plural-Forms: nplurals=2; plural=n > 1;\\n"

#: bot/somewhere.py
msgid "{n} picture"
msgid_plural "{n} pictures"
msgstr[0] "{n} image"
msgstr[1] "{n} images"

#, fuzzy
msgid "Old."
msgstr "Vieux."

msgid "New."
msgstr ""

msgid "Line one\\n"
"and \\"two\\"."
msgstr "Ligne un\\n"
"et « deux »."
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "catalogue", lambda language: parsed(SMALL))


def test_a_file_is_read_as_gettext_reads_it(small: None) -> None:
    with speaking("fr"):
        assert _('Line one\nand "two".') == "Ligne un\net « deux »."
        assert [ngettext("{n} picture", "{n} pictures", n) for n in (0, 1, 2)] == ["0 image", "1 image", "2 images"]


def test_what_is_missing_is_said_in_english(small: None) -> None:
    with speaking("fr"):
        assert [_("New."), _("Old."), _("Never written.")] == ["New.", "Old.", "Never written."]
        assert ngettext("{n} job", "{n} jobs", 2) == "2 jobs"


@pytest.mark.parametrize(
    ("locale", "spoken"), [("de", "de"), ("es-419", "es"), ("en-GB", ENGLISH), ("pl", ENGLISH), ("zh-TW", ENGLISH)]
)
def test_discords_locales_have_languages(locale: str, spoken: str) -> None:
    with speaking(locale):
        assert language() == spoken
    assert language() == ENGLISH


def test_words_of_members_are_never_read_as_values() -> None:
    assert _("Not {this}.") == "Not {this}."
    assert _("{what} isn't a seed.", what="{oops}") == "{oops} isn't a seed."


async def test_everybody_is_answered_in_their_own() -> None:
    async def answer(locale: str) -> str:
        speak(locale)
        await asyncio.sleep(0)
        return language()

    assert await asyncio.gather(*map(asyncio.create_task, map(answer, ["de", "ja", "en-US"]))) == ["de", "ja", ENGLISH]


def test_numbers_have_the_marks_of_the_language() -> None:
    spoken = {}
    for locale in ("en-US", "de", "fr", "ja"):
        with speaking(locale):
            spoken[locale] = number("1,234.5")
    assert spoken == {"en-US": "1,234.5", "de": "1.234,5", "fr": "1\u202f234,5", "ja": "1,234.5"}


def test_a_value_is_put_into_words_with_its_sentence() -> None:
    value = later(lambda n: f"{n} {language()}", 3)
    with speaking("de"):
        assert _("{value}", value=value) == "3 de"
    assert str(value) == "3 en"


def test_catalogues_are_read_once() -> None:
    assert catalogue("de") is catalogue("de")
