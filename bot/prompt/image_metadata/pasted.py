"""What people paste into a prompt line instead of words: another tool's parameters, a picture's address. Pure."""

from __future__ import annotations

import re

from bot.prompt.image_metadata import infotext
from bot.prompt.image_metadata.read import read_table
from bot.prompt.image_metadata.records import Parameters, json_of

_ADDRESS = re.compile(r"\s*<?(https?://[^\s<>]{1,1000})>?(?:\s+|$)", re.IGNORECASE)
# Discord makes one line of what is pasted into an option, so the three parts of an infotext have to be found again
_NEGATIVE = re.compile(r"(?:^|\s)(?=Negative prompt:)")
_FACTS = re.compile(r"(?:^|\s)(?=Steps: \d{1,5}, )")
_FACT = re.compile(r"\b(?:Sampler|CFG scale|Seed|Size|Model): ")


def addresses(line: str) -> tuple[tuple[str, ...], str]:
    """The addresses that a line begins with, as Midjourney takes pictures, and the rest of it."""
    found: list[str] = []
    while address := _ADDRESS.match(line):
        found.append(address[1])
        line = line[address.end() :]
    return tuple(found), line


def parameters(line: str) -> Parameters | None:
    """What a pasted infotext or JSON object asks for; None for a line of words."""
    text = line.strip()
    if text.startswith("{"):
        return read_table(json_of(text))
    starts = [found.span() for found in _FACTS.finditer(text)]
    if not starts or not _FACT.search(text, starts[-1][1]):
        return None
    head, facts = text[: starts[-1][0]], text[starts[-1][1] :]
    negative = _NEGATIVE.search(head)
    parts = [head] if negative is None else [head[: negative.start()], head[negative.end() :]]
    return infotext.parse("\n".join([*parts, facts]))
