"""Finds listed words in what people write, however it is dressed up. Pure; linear in the text.

A word is found whole: `peg` is not in "pegboard". `*` stands for any letters of the same word, a space for whatever
separates two words. Found too: look-alike letters and digits (`p3g`), letters spelled out (`p e g`, `p.e-g`), marks
and invisible characters between them. All words run at once through one automaton, so no word can make it slow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bot.errors import BadInput
from bot.features.moderation.confusables import STANDS_FOR, plain
from bot.prompt.text import quoted

MAX_LENGTH = 100  # characters of a word
GLUE = frozenset(".-_'’*~^·•`=#\\/")  # what may stand between the letters of one word
BARE = frozenset("!|+¡")  # as letters only before another letter: "bad!" ends a sentence, "!dea" begins a word


def pattern(word: str) -> str:
    """A word as the automaton takes it: plain letters, `*`, single spaces. Raises: BadInput."""
    if len(word) > MAX_LENGTH:
        raise BadInput(f"A word may have at most {MAX_LENGTH} characters.")
    kept = "".join(char if char == "*" or char.isalnum() or char in "@$" else " " for char in plain(word))
    while "**" in kept:
        kept = kept.replace("**", "*")
    kept = " ".join(kept.split())
    letters = sum(char.isalnum() for char in kept)
    if letters < (1 if kept and not kept.isascii() else 2):
        raise BadInput(f"{quoted(word)} would hit almost everything. Give at least two letters or digits.")
    return kept


@dataclass(eq=False, slots=True)
class _Node:
    """A state: how far some words have been read. `loops` takes any letter and stays."""

    loops: bool = False
    after: dict[str, _Node] = field(default_factory=dict)
    star: _Node | None = None
    ends: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Token:
    """A run of letters; each as all that it may stand for. `glued`: what separates it from the next may be no gap."""

    letters: Sequence[str]
    glued: bool


class Matcher:
    """Many words at once; `find` gives the places of those it sees in the list it was made of."""

    def __init__(self, words: Iterable[str]) -> None:
        self._root = _Node()
        for number, word in enumerate(words):
            self._add(pattern(word), number)

    def find(self, text: str) -> list[int]:
        """The numbers of the words that are in the text."""
        if not self._root.after and self._root.star is None:
            return []
        read = plain(text)
        found = self._run(_tokens(read, signs=True))
        if not STANDS_FOR.keys().isdisjoint(read):
            found |= self._run(_tokens(read, signs=False))
        return sorted(found)

    def _add(self, word: str, number: int) -> None:
        node = self._root
        for char in word:
            if char == "*":
                node.star = node.star or _Node(loops=True)
                node = node.star
            else:
                node = node.after.setdefault(char, _Node())
        node.ends.add(number)

    def _run(self, tokens: Iterable[_Token]) -> set[int]:
        found: set[int] = set()
        carried: set[_Node] = set()  # words begun in an earlier token
        for token in tokens:
            states = _with_stars({self._root, *carried})
            for letters in token.letters:
                states = _step(states, letters)
            for state in states:
                found |= state.ends
            spaced = {state.after[" "] for state in states if " " in state.after}
            carried = spaced | (states if token.glued else set())
        return found


def _step(states: set[_Node], letters: str) -> set[_Node]:
    reached = {state for state in states if state.loops}
    for letter in letters:
        reached |= {state.after[letter] for state in states if letter in state.after}
    return _with_stars(reached)


def _with_stars(states: set[_Node]) -> set[_Node]:
    return states | {state.star for state in states if state.star is not None}


def _tokens(text: str, *, signs: bool) -> list[_Token]:
    """The words of a plain text; with `signs`, characters such as @ and $ count as letters."""
    spans = _spans(text, signs)
    tokens = []
    for (start, end), (after, until) in pairwise([*spans, (len(text), len(text))]):
        single = end - start == 1 == until - after  # letters spelled out: "b a d", "b, a, d"
        glued = single or all(char in GLUE for char in text[end:after])
        tokens.append(_Token([char + STANDS_FOR.get(char, "") for char in text[start:end]], glued))
    return tokens


def _spans(text: str, signs: bool) -> list[tuple[int, int]]:
    """Where the runs of letters begin and end."""
    spans: list[tuple[int, int]] = []
    start: int | None = None
    for at, char in enumerate([*text, " "]):
        if _is_letter(text, at, char, signs):
            start = at if start is None else start
        elif start is not None:
            spans.append((start, at))
            start = None
    return spans


def _is_letter(text: str, at: int, char: str, signs: bool) -> bool:
    if char.isalnum():
        return True
    if not signs or char not in STANDS_FOR:
        return False
    follows = text[at + 1 : at + 2]
    return char not in BARE or follows.isalnum() or (bool(follows) and follows in "@$€£")
