"""The demo's page says nothing that its catalogue doesn't know, and speaks as the address or the browser asks."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from bot.demo.words import PAGE
from bot.languages.pages import words
from bot.languages.speech import accepted, speaking

STATIC = resources.files("bot.demo") / "static"


def said_by_the_page() -> set[str]:
    """What its script looks up, and the texts and names of its elements."""
    script, page = (STATIC / "demo.js").read_text("utf-8"), (STATIC / "demo.html").read_text("utf-8")
    body = page.partition("<body")[2]
    texts = re.findall(r">([^<>{}]+)<", body) + re.findall(r'(?:title|aria-label|placeholder)="([^"]+)"', body)
    looked_up = {text for _, text in re.findall(r"""\bt\((?:option\.type === 4 \? )?(["'])(.+?)\1""", script)}
    return looked_up | {text.strip() for text in texts if re.search(r"[A-Za-z]{2}", text) and text.strip() != "Easel"}


def test_the_page_says_what_its_catalogue_knows() -> None:
    said = said_by_the_page()
    assert said - set(PAGE) == set()
    assert set(PAGE) - said == {"{name} takes a number."}  # the other side of a choice


def test_its_words_come_with_it() -> None:
    assert words(PAGE) == {}
    with speaking("de"):
        assert words(PAGE)["Yes"] == "Ja"


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("pl,fr-CA;q=0.8", "fr"),
        ("zh-TW", "zh-CN"),
        ("pt-PT", "pt-BR"),
        ("es-MX", "es-ES"),
        ("en-GB,de;q=0.5", "en"),
        ("", "en"),
        ("*", "en"),
    ],
)
def test_a_browsers_languages_are_understood(header: str, locale: str) -> None:
    assert accepted(header) == locale
