"""Web pages in the language that is spoken: written in English, and looked up sentence by sentence.

What the HTML says is put into other words here; what its script says later goes along as `data-words`.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping

from bot.languages.speech import _, language

SAID = re.compile(
    r">(?P<text>(?:[^<>]|</?(?:b|kbd)>)+)(?=<)"
    r'|(?P<name>\b(?:title|aria-label|placeholder)=")(?P<value>[^"]+)'
)
"""A text with the bold words and keys in it, or an attribute that is shown or read out."""
WITHIN = re.compile(r"&lt;(/?(?:b|kbd))&gt;")


def words(sentences: Iterable[str]) -> dict[str, str]:
    """Those of a page's sentences that the spoken language has, by the English ones; none where it's English."""
    return {english: _(english) for english in sentences if _(english) != english}


def translated(page: str, sentences: Iterable[str]) -> str:
    """A page with its texts, {language} and {words}. What others wrote comes in afterwards: it isn't ours."""
    known = words(sentences)
    page = SAID.sub(lambda found: _put(found, known), page)
    told = html.escape(json.dumps(known, ensure_ascii=False))
    return page.replace("{language}", language()).replace("{words}", told)


def english_of(found: re.Match[str]) -> str:
    """What was found by `SAID`, as the catalogues know it: on one line."""
    return " ".join((found["text"] or found["value"]).split())


def _put(found: re.Match[str], known: Mapping[str, str]) -> str:
    english = english_of(found)
    if english not in known:
        return found[0]
    said = html.escape(known[english])
    if found["name"]:
        return found["name"] + said
    text: str = found["text"]
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return ">" + before + WITHIN.sub(r"<\1>", said) + after
