"""`a {red, blue} boat`: count what a line stands for, then expand it. Pure, linear time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bot.errors import BadInput

MANY = 1_000_000  # counting stops here
MAX_DEPTH = 8
_SPECIAL = "{},"


@dataclass(slots=True)
class _Group:
    """`{...}`: choices, each a sequence of texts and groups. The line itself is a group of one choice."""

    choices: list[list[str | _Group]] = field(default_factory=lambda: [[]])


def count(line: str) -> int:
    """How many lines it stands for, capped at MANY; nothing is expanded. Raises: BadInput on unbalanced braces."""
    return _size(_tree(line))


def expand(line: str) -> Iterator[str]:
    """The lines it stands for, the last brace changing fastest. Count first. Raises: BadInput as `count`."""
    return _lines(_tree(line))


def escape(text: str) -> str:
    """Write plain text so that `expand` gives back exactly it."""
    pieces: list[str] = []
    for at, char in enumerate(text):
        needs = char in "{}" or (char == "," and text[at - 1 : at] == "\\")
        pieces.append(f"\\{char}" if needs else char)
    return "".join(pieces)


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
        elif char == "}" or (char == "," and len(stack) > 1):
            _close_or_next(stack, char)
        else:
            _put(stack[-1], char)
        at += 1
    if len(stack) > 1:
        raise BadInput("A { has no } to close it. Add the }, or write \\{ for a plain brace.")
    return stack[0]


def _open(stack: list[_Group]) -> None:
    if len(stack) > MAX_DEPTH:
        raise BadInput(f"The braces are nested more than {MAX_DEPTH} deep. Remove a level, or write \\{{ for a brace.")
    group = _Group()
    stack[-1].choices[-1].append(group)
    stack.append(group)


def _close_or_next(stack: list[_Group], char: str) -> None:
    if char == ",":
        stack[-1].choices.append([])
    elif len(stack) == 1:
        raise BadInput("A } has no { before it. Add the {, or write \\} for a plain brace.")
    else:
        stack.pop()


def _put(group: _Group, char: str) -> None:
    group.choices[-1].append(char)


def _size(group: _Group) -> int:
    total = 0
    for choice in group.choices:
        product = 1
        for part in choice:
            if isinstance(part, _Group):
                product = min(MANY, product * _size(part))
        total += product
    return min(MANY, total)


def _lines(group: _Group) -> Iterator[str]:
    for choice in group.choices:
        yield from _joined(choice)


def _joined(choice: list[str | _Group]) -> list[str]:
    """Every way through one choice; only called for counts within the cap."""
    lines = [""]
    for part in _merged(choice):
        ends = [part] if isinstance(part, str) else [line.strip() for line in _lines(part)]
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
