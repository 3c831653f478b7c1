"""Finds listed words in what people write, however it is dressed up. Pure; linear in the text.

A word is found whole, in its plural too: `peg` is in "pegs" and not in "pegboard". `*` stands for any letters of the
same word, a space for whatever separates two words. A prompt is read as it stands and as its text encoder gets it,
without tags and weights. Found in each: look-alike letters and digits (`p3g`), letters spelled out (`p e g`) or
repeated (`peeeg`), and anything but a space between them (`p.e-g`, `pe|g`). All words run at once through one
automaton, so no word can make it slow.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, pairwise
from typing import NamedTuple

from bot.errors import BadInput
from bot.features.moderation.confusables import STANDS_FOR, Glyph, glyphs, plain
from bot.prompt.text import quoted
from engine.diffusion.prompts import encoder_texts

MAX_LENGTH = 100  # characters of a word
BARE = frozenset("!|+¡")  # as letters only before another letter: "bad!" ends a sentence, "!dea" begins a word
HISSING = ("s", "x", "z", "ch", "sh")  # take -es in the plural


def pattern(word: str) -> str:
    """A word as the automaton takes it: plain letters, `*`, single spaces. Raises: BadInput."""
    if len(word) > MAX_LENGTH:
        raise BadInput("A word can have at most {max_length} characters.", max_length=MAX_LENGTH)
    kept = "".join(char if char == "*" or char.isalnum() or char in "@$" else " " for char in plain(word))
    while "**" in kept:
        kept = kept.replace("**", "*")
    kept = " ".join(kept.split())
    letters = sum(char.isalnum() for char in kept)
    if letters < (1 if kept and not kept.isascii() else 2):
        raise BadInput("{word} would match almost everything. Use at least two letters or digits.", word=quoted(word))
    return kept


def readings(prompt: str) -> tuple[str, ...]:
    """A prompt as people read it and as its text encoder does, each text once."""
    texts = (prompt, *encoder_texts(prompt))
    once = (*map(html.unescape, texts),)
    return tuple(dict.fromkeys((*texts, *once, *map(html.unescape, once))))  # some pipelines do so twice


def _forms(word: str) -> tuple[str, ...]:
    """A word and its plurals; what ends in a star or in another script has none."""
    if len(word) < 3 or not (word.isascii() and word[-1].isalpha()):
        return (word,)
    if word[-1] == "y" and word[-2] not in "aeiou":
        return word, f"{word[:-1]}ies"
    if word[-1] == "o":  # heroes, photos
        return word, f"{word}s", f"{word}es"
    return word, f"{word}es" if word.endswith(HISSING) else f"{word}s"


@dataclass(eq=False, slots=True)
class _Node:
    """A state: how far some words have been read. `loops` takes any letter and stays."""

    loops: bool = False
    after: dict[str, _Node] = field(default_factory=dict)
    star: _Node | None = None
    ends: set[int] = field(default_factory=set)


class _Letter(NamedTuple):
    """A `Glyph` of a word. `parts`: words may end before it and begin after it, as at a sign. `starts`: begin at it."""

    letters: str
    optional: bool
    parts: bool
    starts: bool


@dataclass(frozen=True, slots=True)
class _Token:
    """A run of letters. `glued`: what separates it from the next may be no gap."""

    letters: Sequence[_Letter]
    glued: bool


class Matcher:
    """Many words at once; `find` gives the places of those it sees in the list it was made of."""

    def __init__(self, words: Iterable[str]) -> None:
        self._root = _Node()
        for number, word in enumerate(words):
            for form in _forms(pattern(word)):
                self._add(form, number)

    def find(self, prompt: str) -> list[int]:
        """The numbers of the words that are in the prompt."""
        if not self._root.after and self._root.star is None:
            return []
        found: set[int] = set()
        for text in readings(prompt):
            found |= self._run(_tokens(glyphs(text)))
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
        """Follow every word that has begun; those of which a star took letters of this token end with it."""
        found: set[int] = set()
        states: set[_Node] = set()
        for token in tokens:
            states, starred = _with_stars({self._root, *states}), set[_Node]()
            for letter in token.letters:
                if not (states or starred or letter.starts or letter.parts):
                    continue
                if letter.starts or letter.parts:
                    found |= _ended(states | starred)
                if letter.starts:
                    states = _with_stars({self._root, *states})
                states, starred = _step(states, starred, letter)
                if letter.parts:
                    states = _with_stars({self._root, *states})
            found |= _ended(states | starred)
            states = (states if token.glued else set()) | _spaced(states | starred)
        return found


def _ended(states: Iterable[_Node]) -> set[int]:
    return {number for state in states for number in state.ends}


def _spaced(states: Iterable[_Node]) -> set[_Node]:
    return {state.after[" "] for state in states if " " in state.after}


def _step(states: set[_Node], starred: set[_Node], letter: _Letter) -> tuple[set[_Node], set[_Node]]:
    """All that one more letter leads to; of `starred`, a star has taken letters already."""
    taken = {state for state in states | starred if state.loops}
    reached = {state.after[each] for each in letter.letters for state in states if each in state.after}
    further = {state.after[each] for each in letter.letters for state in starred if each in state.after}
    if letter.optional:
        reached, further = reached | states, further | starred
    if letter.parts:
        reached |= _spaced(states)
    return _with_stars(reached), _with_stars(further | taken)


def _with_stars(states: set[_Node]) -> set[_Node]:
    return states | {state.star for state in states if state.star is not None}


# ------------------------------------------------------------------ the words of a text
def _tokens(text: Sequence[Glyph]) -> list[_Token]:
    """The words of a text. Glued ones may be pieces of one: whether digits are letters is decided for all of them."""
    spans, tokens, chain = _spans(text), list[_Token](), list[tuple[Glyph, ...]]()
    for (start, end), (after, until) in pairwise([*spans, (len(text), len(text))]):
        single = end - start == 1 == until - after  # letters spelled out: "b a d", "b, a, d"
        glued = single or not any(each.letters.isspace() for each in text[end:after])
        chain.append(tuple(text[start:end]))
        if not glued or after == len(text):
            tokens += _chained(chain)
            chain = []
    return tokens


def _chained(chain: Sequence[tuple[Glyph, ...]]) -> Iterator[_Token]:
    """Digits stand for letters beside letters: "room 455" is a number; "p3g" and "p 3 g" are words."""
    whole = [glyph.letters[0] for word in chain for glyph in word]
    spelled = sum(map(str.isalpha, whole)) >= sum(map(str.isdigit, whole))
    for number, word in enumerate(chain, 1):
        beside = any(glyph.letters[0].isalpha() for glyph in word) or (len(word) == 1 and spelled)
        yield _Token(_letters(word, beside), glued=number < len(chain))


@lru_cache(maxsize=4096)
def _letters(word: tuple[Glyph, ...], beside: bool) -> tuple[_Letter, ...]:
    """The letters of one word, each as all that it may stand for; `beside`: its digits are letters too."""
    shapes = [glyph.letters[0] for glyph in word]
    pairs = [("v" in one.letters and "v" in two.letters) for one, two in pairwise(word)]  # "vv" looks like w
    repeats = [at > 0 and length > 2 for length in _runs(shapes) for at in range(length)]
    letters = []
    for at, (glyph, shape) in enumerate(zip(word, shapes, strict=True)):
        sign = not shape.isalnum()
        dressed = STANDS_FOR.get(shape, "") if beside or not shape.isdigit() else ""
        letter = _Letter(
            letters=glyph.letters + dressed + ("w" if True in pairs[at : at + 1] else ""),
            optional=glyph.optional or sign or repeats[at] or True in pairs[at - 1 : at],
            parts=sign,
            starts=at > 0 and shape.isdigit() != shapes[at - 1].isdigit(),
        )
        letters.append(letter)
    return tuple(letters)


def _runs(shapes: Sequence[str]) -> list[int]:
    """How often each letter is repeated, in their order: "boooat" is 1, 3, 1, 1."""
    return [len([*same]) for _, same in groupby(shapes)]


def _spans(text: Sequence[Glyph]) -> list[tuple[int, int]]:
    """Where the runs of letters begin and end."""
    spans: list[tuple[int, int]] = []
    start: int | None = None
    for at in range(len(text) + 1):
        if at < len(text) and _is_letter(text, at):
            start = at if start is None else start
        elif start is not None:
            spans.append((start, at))
            start = None
    return spans


def _is_letter(text: Sequence[Glyph], at: int) -> bool:
    shape = text[at].letters[0]
    if shape.isalnum():
        return True
    if shape not in STANDS_FOR:
        return False
    follows = text[at + 1].letters[0] if at + 1 < len(text) else " "
    return shape not in BARE or follows.isalnum() or follows in "@$€£"
