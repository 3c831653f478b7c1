"""A1111's prompt language: `(word:1.3)`, `((word))`, `[word]`, `BREAK`. Knows no torch.

Written after the grammar of A1111's `modules/prompt_parser.py` (parse_prompt_attention), in one linear pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine.diffusion import prompt_schedule
from engine.tasks import lora_tags

ROUND, SQUARE = 1.1, 1 / 1.1
MAX_WEIGHT = 10.0
_TOKEN = re.compile(r"\\[()\[\]\\]|\(|\[|:\s*([+-]?[.\d]+)\s*\)|\)|\]|\bBREAK\b|[^\\()\[\]:B]+|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of one weight, or a BREAK (`text` is None): what follows starts a new chunk of tokens."""

    text: str | None
    weight: float = 1.0


def parse(prompt: str) -> tuple[Piece, ...]:
    """The prompt as pieces, neighbours of equal weight joined. Unclosed brackets count as closed at the end."""
    pieces: list[list[object]] = []
    rounds: list[int] = []
    squares: list[int] = []
    for match in _TOKEN.finditer(prompt):
        _take(match, pieces, rounds, squares)
    for start in rounds:
        _scale(pieces, start, ROUND)
    for start in squares:
        _scale(pieces, start, SQUARE)
    return tuple(_joined(pieces))


def _take(match: re.Match[str], pieces: list[list[object]], rounds: list[int], squares: list[int]) -> None:
    token, number = match.group(), match.group(1)
    if token == "(":
        rounds.append(len(pieces))
    elif token == "[":
        squares.append(len(pieces))
    elif number is not None and rounds and _weight(number) is not None:
        _scale(pieces, rounds.pop(), _weight(number) or 0.0)
    elif token == ")" and rounds:
        _scale(pieces, rounds.pop(), ROUND)
    elif token == "]" and squares:
        _scale(pieces, squares.pop(), SQUARE)
    elif token == "BREAK":
        pieces.append([None, 1.0])
    else:
        pieces.append([token.removeprefix("\\"), 1.0])


def _weight(number: str) -> float | None:
    try:
        return max(-MAX_WEIGHT, min(MAX_WEIGHT, float(number)))
    except ValueError:
        return None


def _scale(pieces: list[list[object]], start: int, factor: float) -> None:
    for piece in pieces[start:]:
        assert isinstance(piece[1], float)
        piece[1] *= factor


def _joined(pieces: list[list[object]]) -> Iterator[Piece]:
    text, weight = "", 1.0
    for raw, scale in pieces:
        assert isinstance(scale, float)
        if raw is None or (text and scale != weight):
            if text:
                yield Piece(text, weight)
            text = ""
        if raw is None:
            yield Piece(None)
        else:
            text, weight = text + str(raw), scale
    if text:
        yield Piece(text, weight)


def is_plain(pieces: tuple[Piece, ...]) -> bool:
    """Whether nothing is weighted or broken, so that the pipeline can read the text itself."""
    return all(piece.text is not None and piece.weight == 1.0 for piece in pieces)


def plain_text(prompt: str) -> str:
    """The words that a prompt ends with, without weights and escapes; one that has none comes back unchanged."""
    ends_with = prompt_schedule.plain(prompt) if prompt_schedule.changes(prompt) else prompt
    return "".join(piece.text or " " for piece in parse(ends_with))


def encoder_texts(prompt: str) -> tuple[str, ...]:
    """All that a text encoder may be given for a prompt: its words without tags, and as it changes from step to step;
    those without weights, and as pieces.

    A new syntax that is taken out of prompts, or put into them, belongs here as well: words are blocked by these texts.
    """
    words = lora_tags.without(prompt)
    found = [words]
    for text in prompt_schedule.texts(words):
        pieces = [piece.text or " " for piece in parse(text)]
        found += [text, "".join(pieces), " ".join(pieces)]
    return tuple(dict.fromkeys(found))
