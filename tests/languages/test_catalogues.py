"""Every sentence in every language: it is there, keeps what isn't words, and fits where Discord shows it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

import discord
import pytest

from bot.demo.simulation import Stage
from bot.kit.command_sync import CommandTranslator
from bot.languages.catalogue import FOLDER, catalogue
from bot.languages.speech import LANGUAGES
from tests.languages.collecting import PLURAL, collected

CATALOGUES = sorted(set(LANGUAGES.values()))
KEPT = re.compile(
    r"\{(?!n\})[^{}\s]*\}|\{a, b\}|\*\*|`|<[^<>\s]+>|^-# |^## |(?<![\w/.,])/[a-z]+|(?<!-)--[a-z]+|EASEL_\w+",
    re.M | re.A,
)
"""What a translation has as often as the sentence: values, Markdown, mentions, commands, flags, settings. Only {n} may
be a word in one form and a number in another."""
TEXT_OF_A_COMMAND = 100
TRANSLATED = 0.9  # of the texts of commands; what is new may wait for its translators
LONGER = 2.0  # times the English sentence, plus a few letters: more means that something was added
WORDS_ALIKE = 2  # so few words may be the same in another language: "style", "guidance"


@cache
def entries(language: str) -> dict[str, tuple[str, ...]]:
    return dict(catalogue(language).sentences)


def translations() -> Iterator[tuple[str, str, str]]:
    """Each language's sentences, with the English ones."""
    for language in CATALOGUES:
        for english, forms in entries(language).items():
            yield from ((language, english, form) for form in forms)


def words(text: str) -> list[str]:
    """The words of a sentence beside its values."""
    return re.findall(r"[^\W\d_]+", re.sub(r"\{[^{}]*\}", " ", text))


async def test_every_catalogue_has_every_sentence(studio: Stage) -> None:
    """Not where each is said: a file that moves changes nothing for translators."""
    found = {one for one, _ in collected(studio.bot.tree)}
    for language in CATALOGUES:
        kept = set(re.findall(r'^msgid "(.+)"$', (FOLDER / f"{language}.po").read_text("utf-8"), re.M))
        told = {json.loads(f'"{one}"') for one in kept}
        assert told == found, f"{language}.po: run `make messages`, then translate what is empty"


async def test_commands_are_translated(studio: Stage) -> None:
    """They are what everybody sees first, and Discord mixes languages otherwise."""
    texts = [sentence for sentence, places in collected(studio.bot.tree).items() if places[0].startswith(("/", "menu"))]
    assert len(texts) > 200
    for language in CATALOGUES:
        shown = [entries(language)[one][0] for one, _ in texts if one in entries(language)]
        assert len(shown) >= TRANSLATED * len(texts), language
        assert [text for text in shown if len(text) > TEXT_OF_A_COMMAND] == []


async def test_discord_gets_them(studio: Stage) -> None:
    imagine, vary = (
        studio.bot.tree.get_command("imagine"),
        studio.bot.tree.get_command("Vary", type=discord.AppCommandType.message),
    )
    assert imagine is not None
    assert vary is not None
    sent = await imagine.get_translated_payload(studio.bot.tree, CommandTranslator())
    assert sent["description_localizations"]["de"] == "Malt vier Bilder nach deinen Worten."
    assert sent["description_localizations"]["es-419"] == sent["description_localizations"]["es-ES"]
    assert set(sent["description_localizations"]) == set(LANGUAGES)
    assert sent["name_localizations"] == {}  # everybody tells everybody to type /imagine
    menu = await vary.get_translated_payload(studio.bot.tree, CommandTranslator())
    assert menu["name_localizations"]["fr"] == "Varier"


def test_what_is_not_words_stays() -> None:
    wrong = []
    for language, english, translated in translations():
        if Counter(KEPT.findall(english)) != Counter(KEPT.findall(translated)):
            wrong.append((language, english, translated))
    assert wrong == []


def test_nothing_is_left_in_english_by_accident() -> None:
    same = [(lang, one) for lang, one, here in translations() if one == here and len(words(one)) > WORDS_ALIKE]
    assert same == []


def test_translations_are_about_as_long() -> None:
    """Where English is known to fit, they do too."""
    long = [(lang, one, here) for lang, one, here in translations() if len(here) > LONGER * len(one) + 12]
    assert long == []


@pytest.mark.parametrize("language", CATALOGUES)
def test_numbers_have_their_forms(language: str) -> None:
    rule = catalogue(language).form
    forms = {rule(n) for n in range(200)}
    assert forms == ({0} if PLURAL.get(language) == "0" else {0, 1})
    assert (rule(0), rule(1), rule(2)) == {"0": (0, 0, 0), "n > 1": (0, 0, 1)}.get(PLURAL.get(language, ""), (1, 0, 1))
