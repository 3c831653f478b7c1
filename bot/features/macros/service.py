"""A member's own flags: `--mine` in a prompt stands for what they keep under it. Knows no Discord."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bot.errors import BadInput
from bot.features.macros import store as rows
from bot.prompt import flags, word_lists
from bot.prompt.parser import parse
from bot.prompt.text import quoted, visible
from bot.store.store import Store

MAX_MACROS, MAX_VALUE_CHARS = 50, 500
NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")
USE = re.compile(r"(?<!\S)(?:--|—|–)([A-Za-z][A-Za-z0-9-]{0,29})(?=\s|$)")


class Macros:
    """Macros by member; they have them everywhere."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, user_id: int) -> Mapping[str, str]:
        """A member's macros by name."""
        return await self._store.read(rows.macros, user_id)

    async def save(self, user_id: int, name: str, value: str) -> str:
        """Keep a macro; its name. Raises: BadInput."""
        name, value = read_name(name), visible(value)
        if not 0 < len(value) <= MAX_VALUE_CHARS:
            raise BadInput("A macro stands for 1 to {max_value_chars} characters.", max_value_chars=MAX_VALUE_CHARS)
        known = await self.of(user_id)
        if name not in known and len(known) >= MAX_MACROS:
            raise BadInput("{max_macros} macros are the most. Remove one first.", max_macros=MAX_MACROS)
        parse(f"x {word_lists.USE.sub('x', expand(value, known))}")  # what it stands for can be used
        await self._store.write(rows.save, user_id, name, value)
        return name

    async def remove(self, user_id: int, name: str) -> str:
        """Forget a macro; its name. Raises: BadInput."""
        name = read_name(name)
        if not await self._store.write(rows.remove, user_id, name):
            raise BadInput("You have no macro --{name}. **/prefer list** shows those you have.", name=name)
        return name


def read_name(text: str) -> str:
    """A macro's name, with or without its dashes. Raises: BadInput."""
    name = text.strip().lstrip("-—–").casefold()
    if not NAME.fullmatch(name):
        raise BadInput("{text} can't be a macro's name. Use a-z, digits and dashes, such as mine.", text=quoted(text))
    if flags.is_known(name):
        raise BadInput("--{name} is a flag already. Choose another name.", name=name)
    return name


def expand(line: str, known: Mapping[str, str]) -> str:
    """The line with what a member's macros stand for; they don't hold one another."""
    return USE.sub(lambda use: known.get(use[1].casefold(), use[0]), line) if known else line
