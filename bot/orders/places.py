"""Parts of a picture as people name them: top right, left third, or percents. Pure; knows no pixels."""

from __future__ import annotations

import re

from bot.errors import BadInput
from bot.languages.speech import N_, _, later
from bot.prompt.text import quoted

Share = tuple[float, float, float, float]  # left, top, right, bottom, 0..1
_ACROSS, _DOWN = frozenset({"left", "right"}), frozenset({"top", "bottom"})
_SYNONYMS = {
    "upper": "top",
    "above": "top",
    "lower": "bottom",
    "below": "bottom",
    "center": "centre",
    "middle": "centre",
}
_FILLERS = frozenset(
    {"the", "of", "side", "half", "corner", "quarter", "part", "picture", "image", "in", "and", "at", "third", "thirds"}
)
_PERCENT = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]{1,3})?)\s*%?\s*")
WORDS_HELP = N_(
    "Use words such as `top right`, `left third`, `centre`, or left, top, width and height in percent: `60,0,40,50`."
)


def read(text: str) -> Share:
    """ "top right", "left third", "centre", or "x,y,w,h" in percent. Raises: BadInput."""
    return _by_percent(text) if "," in text else _by_words(text)


def _by_percent(text: str) -> Share:
    """Raises: BadInput."""
    parts = [_PERCENT.fullmatch(part) for part in text.split(",")]
    if len(parts) != 4 or not all(parts):
        raise BadInput("{text} isn't a region. {words_help}", text=quoted(text), words_help=later(_, WORDS_HELP))
    left, top, width, height = (float(part[1]) / 100 for part in parts if part)
    if not (width > 0 and height > 0 and left + width <= 1.0001 and top + height <= 1.0001):
        raise BadInput(
            "The region {text} is empty or goes beyond the picture. {words_help}",
            text=quoted(text),
            words_help=later(_, WORDS_HELP),
        )
    return left, top, min(1.0, left + width), min(1.0, top + height)


def _by_words(text: str) -> Share:
    """Sides and corners by halves, or by thirds where the words say so. Raises: BadInput."""
    words = {_SYNONYMS.get(word, word) for word in text.casefold().replace("-", " ").split()}
    thirds = not words.isdisjoint({"third", "thirds"})
    words -= _FILLERS
    across, down = words & _ACROSS, words & _DOWN
    if not words or words - _ACROSS - _DOWN - {"centre"} or len(across) > 1 or len(down) > 1:
        raise BadInput(
            "I do not know the region {text}. {words_help}", text=quoted(text), words_help=later(_, WORDS_HELP)
        )
    centred = "centre" in words
    left, right = _span(across, "left", thirds, centred)
    top, bottom = _span(down, "top", thirds, centred)
    return left, top, right, bottom


def _span(said: set[str], near: str, thirds: bool, centred: bool) -> tuple[float, float]:
    """From where to where along one direction; all of it, or its middle, where no side was said."""
    part = 1 / 3 if thirds else 0.5
    if said:
        return (0.0, part) if near in said else (1 - part, 1.0)
    return ((1 - part) / 2, (1 + part) / 2) if centred else (0.0, 1.0)
