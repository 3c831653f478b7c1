"""`a __colour__ boat`: one of the words of a list, drawn by the job's seed, so that the same seed draws the same. Pure.

A list's entries may be random choices and lists themselves, and say how likely they are (`3::red`), as between braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from random import Random

from bot.errors import BadInput
from bot.languages.speech import _, later
from bot.prompt import permutations
from bot.prompt.text import quoted

NAME = re.compile(r"[a-z0-9][a-z0-9/-]*(?:_[a-z0-9/-]+)*")
MAX_NAME_CHARS = 40
MAX_DEPTH = 4  # lists in lists; also those that name themselves end there
MAX_DRAWS = 100
# after so many backslashes; the first one makes it plain words
USE = re.compile(r"(?<![\w\\])(\\*)__([\w/*-]{1,80}?)__(?!\w)")
Lists = Mapping[str, Sequence[str]]


def has_draws(text: str) -> bool:
    """Whether a list is named in it."""
    return any(not use[1] for use in USE.finditer(text))


def draw(text: str, lists: Lists, seed: int) -> str:
    """The text with a word for each list it names. Raises: BadInput for a list that there isn't."""
    rng = Random(f"words:{seed}")
    left = MAX_DRAWS
    for __ in range(MAX_DEPTH):
        if not has_draws(text) or left <= 0:
            break
        left -= len(USE.findall(text))
        text = USE.sub(lambda use: use[0] if use[1] else _drawn(use[2], lists, rng), text)
    if has_draws(text):
        raise BadInput("These word lists name each other in circles, or too many of them. Change one with /words edit.")
    return USE.sub(lambda use: use[0][1:], text)


def escape(text: str) -> str:
    """Write plain text so that `draw` gives back exactly it."""
    return USE.sub(lambda use: f"\\{use[0]}", text)


def _drawn(name: str, lists: Lists, rng: Random) -> str:
    words = lists.get(name.casefold())
    if not words:
        near = get_close_matches(name.casefold(), lists, n=1, cutoff=0.5)
        mend = later(_mend, near)
        raise BadInput(
            "There is no word list {name} here. {mend} For one of several words write {{a|b}}. Nothing was charged.",
            foreign=True,
            name=quoted(name),
            mend=mend,
        )
    weighed = [permutations.weight(word) for word in words]
    (at,) = rng.choices(range(len(words)), [weight for weight, _ in weighed])
    return next(iter(permutations.expand(words[at][weighed[at][1] :].strip(), rng)))


def _mend(near: list[str]) -> str:
    if near:
        return _("Did you mean `__{name}__`?", name=near[0])
    return _("**/words list** shows those there are.")
