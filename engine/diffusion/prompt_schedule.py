"""A1111's prompts that change while they are painted: `[from:to:when]`, `[one|other]`, and `this AND that`. No torch.

Written after the rules of A1111's `modules/prompt_parser.py` (get_learned_conditioning_prompt_schedules and
get_multicond_prompt_list there), in one linear pass and without its grammar library: what isn't closed, or has the
wrong number of parts, is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

MAX_DEPTH = 16
MAX_STEPS = 150
MAX_LOOKS = 100_000  # characters of what a prompt may be read as; one that takes more is looked at as a whole
_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"\s*:\s*([-+]?(?:\d*\.\d+|\d+\.?))\s*\Z")
_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*\Z")
_TOKEN = re.compile(r"\\.|[\[\]():|]|[^\\\[\]():|]+|\\", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """What stands between ANDs, and how much it counts. `texts`: each with the last step that reads it."""

    weight: float
    texts: tuple[tuple[int, str], ...]

    def at(self, step: int) -> str:
        """What is read at a step, from 0. A1111 counts them so: the step that a text ends at reads it, too."""
        return next((text for end, text in self.texts if step <= end), self.texts[-1][1])


@dataclass(frozen=True, slots=True)
class _Change:
    """`[before:after:when]`."""

    before: list[_Node]
    after: list[_Node]
    when: int


@dataclass(frozen=True, slots=True)
class _Turns:
    """`[one|other]`."""

    options: list[list[_Node]]


_Node = str | _Change | _Turns


@dataclass(slots=True)
class _Frame:
    """What is inside an opening bracket so far, parted by `marks`; `torn`: something in it isn't closed."""

    opening: str = ""
    parts: list[list[_Node]] = field(default_factory=lambda: [[]])
    marks: list[str] = field(default_factory=list)
    torn: bool = False

    def add(self, *nodes: _Node) -> None:
        self.parts[-1].extend(nodes)

    def as_text(self, closing: str = "") -> Iterator[_Node]:
        """It as it was written; what is inside may change all the same."""
        yield self.opening
        for mark, part in zip(["", *self.marks], self.parts, strict=True):
            yield mark
            yield from part
        yield closing


# ---------------------------------------------------------------- what is asked of it
def parts(prompt: str, steps: int) -> tuple[Part, ...]:
    """What a prompt asks for in so many steps; a plain one is one part with one text."""
    pieces = _AND.split(prompt)
    weighed = [(piece, _WEIGHT.search(piece) if len(pieces) > 1 else None) for piece in pieces]
    return tuple(
        Part(float(match[1]) if match else 1.0, _texts(piece[: match.start()] if match else piece, steps))
        for piece, match in weighed
    )


def unwanted(prompt: str, steps: int) -> Part:
    """What is not wanted in so many steps; AND is a word there."""
    return Part(1.0, _texts(prompt, steps))


def changes(prompt: str) -> bool:
    """Whether a prompt is more than one text."""
    return bool(_AND.search(prompt)) or any(not isinstance(node, str) for node in _parsed(prompt, MAX_STEPS))


def texts(prompt: str) -> tuple[str, ...]:
    """Every text that a prompt may be read as, in whatever number of steps; where those are very many, some, and one
    with all its words."""
    if not changes(prompt):
        return (prompt,)
    known: dict[str, None] = {}
    looks = 0
    for steps in range(MAX_STEPS, 0, -1):
        found = [text for part in parts(prompt, steps) for _, text in part.texts]
        known.update(dict.fromkeys(found))
        looks += sum(map(len, found)) + len(prompt)
        if looks > MAX_LOOKS:
            return (*known, re.sub(r"[\[\]|]|:\s*[-+.\d]*\s*(?=\])", "", prompt))
    return tuple(known)


def plain(prompt: str) -> str:
    """The words of a prompt for whoever can't change them: what it ends with."""
    return " ".join(text.strip() for part in parts(prompt, MAX_STEPS) for _, text in part.texts[-1:])


# ---------------------------------------------------------------- reading it
def _texts(words: str, steps: int) -> tuple[tuple[int, str], ...]:
    nodes = _parsed(words, steps)
    return tuple((end, "".join(_at(nodes, end))) for end in sorted({*_ends(nodes, steps), steps}))


def _parsed(words: str, steps: int) -> list[_Node]:
    stack = [_Frame()]
    for token in _TOKEN.findall(words):
        top = stack[-1]
        if token in ("[", "(") and len(stack) <= MAX_DEPTH:
            stack.append(_Frame(token))
        elif token == "]" and any(frame.opening == "[" for frame in stack):
            while stack[-1].opening == "(":
                _tear(stack)
            frame = stack.pop()
            stack[-1].add(*_closed(frame, steps))
        elif token == ")" and top.opening == "(":
            stack.pop()
            stack[-1].add(*top.as_text(")"))
        elif token in (":", "|") and top.opening == "[":
            top.marks.append(token)
            top.parts.append([])
        else:
            top.torn = top.torn or token == ")"
            top.add(token)
    while len(stack) > 1:
        _tear(stack)
    return stack[0].parts[0]


def _tear(stack: list[_Frame]) -> None:
    """A bracket that is never closed is text, and so is whatever it stands in."""
    frame = stack.pop()
    stack[-1].add(*frame.as_text())
    stack[-1].torn = True


def _closed(frame: _Frame, steps: int) -> Iterator[_Node]:
    marks = set(frame.marks)
    if marks == {"|"} and not frame.torn:
        yield _Turns(frame.parts)
    elif marks == {":"} and not frame.torn and len(frame.parts) <= 3 and (when := _when(frame.parts[-1], steps)):
        yield _Change(frame.parts[0] if len(frame.parts) == 3 else [], frame.parts[-2], when[0])
    else:
        yield from frame.as_text("]")


def _when(nodes: Sequence[_Node], steps: int) -> tuple[int] | None:
    """The step that a number means: a share of all where it has a point, else itself."""
    match = _NUMBER.match("".join(node for node in nodes if isinstance(node, str)))
    if match is None or any(not isinstance(node, str) for node in nodes):
        return None
    number = float(match[1])
    return (int(max(-MAX_STEPS, min(MAX_STEPS, number * steps if "." in match[1] else number))),)


def _ends(nodes: Sequence[_Node], steps: int) -> Iterator[int]:
    """The steps after which another text is read."""
    for node in nodes:
        if isinstance(node, _Turns):
            yield from range(1, steps + 1)
            return
        elif isinstance(node, _Change):
            if node.when >= 1:
                yield min(steps, node.when)
            yield from _ends([*node.before, *node.after], steps)


def _at(nodes: Sequence[_Node], step: int) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif isinstance(node, _Turns):
            yield from _at(node.options[(step - 1) % len(node.options)], step)
        else:
            yield from _at(node.before if step <= node.when else node.after, step)
