"""A server's styles made from pictures: keeping, finding and forgetting them. Knows no Discord."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

from bot.errors import BadInput, NotFound, Refused
from bot.features.audit.service import Audit
from bot.features.looks import acts
from bot.features.looks import store as rows
from bot.features.looks.store import Look
from bot.orders.actor import Actor
from bot.prompt.flags import LOOK
from bot.prompt.text import quoted
from bot.store.store import Store
from engine.tasks.pictures import MAX_REFERENCES, StoredPicture

MAX_PICTURES = MAX_REFERENCES
# of a code: nothing that reads like something else. It begins with a letter, so it's no job's number.
_FIRST, _LETTERS = "bcdfghjkmnpqrstvwxz", "bcdfghjkmnpqrstvwxz23456789"
CODE_CHARS = 7


class Looks:
    """Looks by name in their server, and by code there or, where their maker said so, everywhere."""

    def __init__(self, store: Store, audit: Audit) -> None:
        self._store, self._audit = store, audit

    async def of_server(self, guild_id: int) -> list[Look]:
        """A server's looks, by name."""
        return await self._store.read(rows.looks, guild_id)

    async def add(self, by: Actor, name: str, pictures: Sequence[StoredPicture], *, everywhere: bool) -> Look:
        """Keep a look of these pictures, which are kept already; with its code. Raises: BadInput."""
        distinct = {each.sha256: each.size for each in pictures}
        if not 1 <= len(distinct) <= MAX_PICTURES:
            raise BadInput("A style is made from 1 to {most} pictures.", most=MAX_PICTURES)
        new = Look(
            name=read_name(name),
            code=new_code(),
            guild_id=by.guild_id,
            maker_id=by.user_id,
            aged=by.nsfw,
            everywhere=everywhere,
            pictures=tuple(distinct.items()),
        )
        await self._audit.perform(acts.add, by, by.guild_id, new)
        return new

    async def remove(self, by: Actor, name: str) -> Look:
        """Forget a look of the server. Raises: NotFound."""
        return await self._audit.perform(acts.remove, by, by.guild_id, name.strip().casefold())

    async def pictures(self, actor: Actor, name: str) -> list[StoredPicture]:
        """What a look is read from, for whoever may use it here. Raises: NotFound, Refused."""
        found = await self._store.read(rows.named, actor.places, name.casefold())
        if found is None or not (found.everywhere or found.guild_id in actor.places):
            raise NotFound(
                "There's no style from pictures called {name} here. **/style codes** shows them.", name=quoted(name)
            )
        if found.aged and not actor.nsfw:
            raise Refused("That style was made in an age-restricted channel. It can only be used in one.")
        return [StoredPicture(sha256=sha256, size=size) for sha256, size in found.pictures]


def read_name(text: str) -> str:
    """A look's name. Raises: BadInput."""
    name = text.strip().casefold()
    if not LOOK.fullmatch(name) or re.fullmatch(f"[{_LETTERS}]{{{CODE_CHARS}}}", name):
        raise BadInput(
            "{name} can't be a style's name. Use lowercase letters, digits and dashes, beginning with a letter, "
            "such as ink-wash.",
            name=quoted(text),
        )
    return name


def new_code() -> str:
    """A code that nobody can guess: 19 times 27 to the sixth is more than seven thousand million."""
    return secrets.choice(_FIRST) + "".join(secrets.choice(_LETTERS) for _ in range(CODE_CHARS - 1))
