"""Word lists of servers and members, and those that a member may name in a prompt. Knows no Discord."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from bot.errors import BadInput
from bot.features.audit.service import Audit
from bot.features.word_lists import acts
from bot.features.word_lists import store as rows
from bot.features.word_lists.store import WordList
from bot.orders.actor import Actor
from bot.prompt import word_lists
from bot.prompt.parser import Draft, parse
from bot.prompt.text import quoted, visible
from bot.store.clock import Clock
from bot.store.store import Store

MAX_OF_A_SERVER, MAX_OF_A_MEMBER = 100, 50
MAX_WORDS, MAX_WORD_CHARS, MAX_TEXT_CHARS = 400, 200, 4000  # the last is a form's


class WordLists:
    """Lists by name; a member's own comes before the server's of the same name."""

    def __init__(self, store: Store, audit: Audit, clock: Clock) -> None:
        self._store, self._audit, self._clock = store, audit, clock

    async def usable(self, user_id: int, guild_id: int) -> Mapping[str, Sequence[str]]:
        """What a member may name in a prompt here."""
        return {each.name: each.words for each in [*await self.of_server(guild_id), *await self.of_member(user_id)]}

    async def of_server(self, guild_id: int) -> list[WordList]:
        return await self._store.read(rows.lists, guild_id, 0) if guild_id else []

    async def of_member(self, user_id: int) -> list[WordList]:
        return await self._store.read(rows.lists, 0, user_id)

    async def save(self, by: Actor, name: str, text: str, *, server: bool) -> WordList:
        """Keep a list of the server or of one's own; what is kept. Raises: BadInput."""
        owner = {"guild_id": by.guild_id} if server else {"owner_id": by.user_id}
        new = WordList(name=read_name(name), words=read_words(text), **owner)
        if server:
            await self._audit.perform(acts.save, by, by.guild_id, new, MAX_OF_A_SERVER)
        else:
            await self._store.write(acts.keep, new, MAX_OF_A_MEMBER, self._clock.now_ms())
        return new

    async def remove(self, by: Actor, name: str, *, server: bool) -> None:
        """Forget a list of the server or of one's own. Raises: BadInput."""
        if server:
            await self._audit.perform(acts.remove, by, by.guild_id, read_name(name))
        else:
            await self._store.write(acts.drop, 0, by.user_id, read_name(name))


def read_name(text: str) -> str:
    """A list's name, with or without the underscores around it. Raises: BadInput."""
    name = text.strip().strip("_").casefold()
    if not word_lists.NAME.fullmatch(name) or len(name) > word_lists.MAX_NAME_CHARS:
        raise BadInput("{text} can't be a list's name. Use a-z, digits and dashes, such as colour.", text=quoted(text))
    return name


def read_words(text: str) -> tuple[str, ...]:
    """A list's entries: one a line, or with commas between them. Raises: BadInput."""
    if len(text) > MAX_TEXT_CHARS:
        raise BadInput(
            "A list has at most {max_text_chars:,} characters; this has {count_text:,}.",
            max_text_chars=MAX_TEXT_CHARS,
            count_text=len(text),
        )
    parts = text.splitlines() if "\n" in text.strip() else text.split(",")
    found = tuple(dict.fromkeys(filter(None, (visible(part).strip(" ,") for part in parts))))
    if not 0 < len(found) <= MAX_WORDS:
        raise BadInput(
            "A list has 1 to {max_words} entries; this has {count_found}.", max_words=MAX_WORDS, count_found=len(found)
        )
    for entry in found:
        _check(entry)
    return found


def _check(entry: str) -> None:
    """Words alone: a flag in a list would be painted. Raises: BadInput."""
    if len(entry) > MAX_WORD_CHARS:
        raise BadInput(
            "{entry} has {count_entry} characters; an entry has at most {max_word_chars}.",
            entry=quoted(entry),
            count_entry=len(entry),
            max_word_chars=MAX_WORD_CHARS,
        )
    words = word_lists.USE.sub("word", entry)
    read = parse(words, rng=Random(0))
    if len(read) > 1 or any(value is not None for name, value in _said(read[0]).items() if name != "prompt"):
        raise BadInput(
            "{entry} holds a flag or a {{a, b}}. An entry is words, {{a|b}} or another list.", entry=quoted(entry)
        )


def _said(draft: Draft) -> Mapping[str, object]:
    return {name: getattr(draft, name) for name in Draft.__dataclass_fields__}
