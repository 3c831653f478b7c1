"""`a {red, blue} boat` and `a {red|blue} boat`: every choice in turn, or one at random. Pure, linear time.

A group with a `|` is a random choice, in which commas are plain: `{oak, in autumn|pine}`. It may say how likely its
options are (`{3::red|1::blue}`) and how many are taken (`{2$$a|b|c}`, `{1-2$$a|b|c}`, `{2$$ and $$a|b|c}`), as the
extension "dynamic prompts" writes them. Any other group is a permutation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from random import Random

from bot.errors import BadInput

MANY = 1_000_000  # counting stops here
MAX_DEPTH = 8
_SPECIAL = "{},|"
_TAKES = re.compile(r"\s*(\d)(?:-(\d))?\$\$(?:([^$]{0,20})\$\$)?")
_WEIGHT = re.compile(r"\s*(\d{1,4}(?:\.\d{1,4})?)::")


@dataclass(slots=True)
class _Group:
    """`{...}`: choices, each a sequence of texts and groups. The line itself is a group of one choice."""

    choices: list[list[str | _Group]] = field(default_factory=lambda: [[]])
    random: bool = False


def count(line: str) -> int:
    """How many lines it stands for, capped at MANY; nothing is expanded. Raises: BadInput on unbalanced braces."""
    return 1 if _is_plain(line) else _size(_tree(line))


def has_random(line: str) -> bool:
    """Whether another expansion may give other words. Raises: BadInput on unbalanced braces."""
    return not _is_plain(line) and _any_random(_tree(line))


def expand(line: str, rng: Random) -> Iterator[str]:
    """The lines it stands for, the last brace changing fastest. Count first. Raises: BadInput as `count`."""
    return iter((line,)) if _is_plain(line) else _lines(_tree(line), rng)


def escape(text: str) -> str:
    """Write plain text so that `expand` gives back exactly it."""
    pieces: list[str] = []
    for at, char in enumerate(text):
        needs = char in "{}" or (char in ",|" and text[at - 1 : at] == "\\")
        pieces.append(f"\\{char}" if needs else char)
    return "".join(pieces)


# ---------------------------------------------------------------- reading
def _is_plain(line: str) -> bool:
    """Whether it stands for itself alone, as most lines do."""
    return not ("{" in line or "}" in line or "\\" in line)


def _tree(line: str) -> _Group:
    stack = [_Group()]
    at = 0
    while at < len(line):
        char = line[at]
        if char == "\\" and line[at + 1 : at + 2] in tuple(_SPECIAL):
            at += 1
            _put(stack[-1], line[at])
        elif char == "{":
            _open(stack)
        elif char == "}":
            _close(stack)
        elif char in ",|" and len(stack) > 1:
            _next(stack[-1], char)
        else:
            _put(stack[-1], char)
        at += 1
    if len(stack) > 1:
        raise BadInput("A { has no } to close it. Add the }, or write \\{ for a plain brace.")
    return stack[0]


def _open(stack: list[_Group]) -> None:
    if len(stack) > MAX_DEPTH:
        raise BadInput(
            "The braces are nested more than {max_depth} deep. Remove a level, or write \\{{ for a brace.",
            max_depth=MAX_DEPTH,
        )
    group = _Group()
    stack[-1].choices[-1].append(group)
    stack.append(group)


def _close(stack: list[_Group]) -> None:
    if len(stack) == 1:
        raise BadInput("A } has no { before it. Add the {, or write \\} for a plain brace.")
    stack.pop()


def _next(group: _Group, char: str) -> None:
    if char == "," and group.random:
        _put(group, char)
        return
    if char == "|" and not group.random:  # the commas so far were plain
        group.random = True
        first, *others = group.choices
        for other in others:
            first += [",", *other]
        group.choices = [first]
    group.choices.append([])


def _put(group: _Group, char: str) -> None:
    group.choices[-1].append(char)


# ---------------------------------------------------------------- counting and expanding
def _size(group: _Group) -> int:
    """How many lines a group stands for; of a random one, the most that it may give."""
    sizes = [_product(choice) for choice in group.choices]
    if not group.random:
        return min(MANY, sum(sizes))
    largest = max(sizes)
    return min(MANY, largest ** _most_taken(group)) if largest > 1 else 1


def _product(choice: Sequence[str | _Group]) -> int:
    size = 1
    for part in choice:
        if isinstance(part, _Group):
            size = min(MANY, size * _size(part))
    return size


def _most_taken(group: _Group) -> int:
    said = _TAKES.match(_text(group.choices[0]))
    return int(said[2] or said[1]) if said else 1


def _any_random(group: _Group) -> bool:
    parts = (part for choice in group.choices for part in choice if isinstance(part, _Group))
    return group.random or any(map(_any_random, parts))


def _lines(group: _Group, rng: Random) -> Iterator[str]:
    if group.random:
        yield from _drawn(group, rng)
        return
    for choice in group.choices:
        yield from _joined(choice, rng)


def _drawn(group: _Group, rng: Random) -> Iterator[str]:
    """The options that chance takes, joined; several lines where an option is itself a permutation."""
    first = _text(group.choices[0])
    said = _TAKES.match(first)
    low = high = 1
    between = ", "
    if said:
        low, high = int(said[1]), int(said[2] or said[1])
        between = said[3] or between
    skipped = said.end() if said else 0
    options = [(group.choices[0], skipped), *((choice, 0) for choice in group.choices[1:])]
    taken: list[list[str]] = []
    for _ in range(min(rng.randint(min(low, high), max(low, high)), len(options))):
        weights = [weight(_text(choice)[skip:])[0] for choice, skip in options]
        chosen = rng.choices(range(len(options)), weights if sum(weights) > 0 else None)[0]
        choice, skip = options.pop(chosen)
        skip += weight(_text(choice)[skip:])[1]
        taken.append([line[skip:].strip() for line in _joined(choice, rng)])
    yield from (between.join(lines) for lines in product(*taken))


def weight(option: str) -> tuple[float, int]:
    """How likely an option is, and how many characters say so."""
    said = _WEIGHT.match(option)
    return (float(said[1]), said.end()) if said else (1.0, 0)


def _text(choice: Sequence[str | _Group]) -> str:
    """What stands before the first group of a choice."""
    text: list[str] = []
    for part in choice:
        if isinstance(part, _Group):
            break
        text.append(part)
    return "".join(text)


def _joined(choice: list[str | _Group], rng: Random) -> list[str]:
    """Every way through one choice; only called for counts within the cap."""
    lines = [""]
    for part in _merged(choice):
        if isinstance(part, str):
            lines = [line + part for line in lines]
        elif part.random:  # each line has its own draw
            lines = [line + end.strip() for line in lines for end in _lines(part, rng)]
        else:
            ends = [end.strip() for end in _lines(part, rng)]
            lines = [line + end for line in lines for end in ends]
    return lines


def _merged(choice: list[str | _Group]) -> Iterator[str | _Group]:
    """Neighbouring characters as one text."""
    text: list[str] = []
    for part in choice:
        if isinstance(part, str):
            text.append(part)
            continue
        yield "".join(text)
        yield part
        text = []
    yield "".join(text)
