"""What admins do to a server's word lists, each with its audit row. Knows no Discord."""

from __future__ import annotations

import sqlite3

from bot.errors import BadInput
from bot.features.audit.acts import Author, Note, act
from bot.features.word_lists import store as rows
from bot.features.word_lists.store import WordList


@act("words.save")
def save(db: sqlite3.Connection, by: Author, new: WordList, most: int) -> tuple[bool, list[Note]]:
    """Keep a list under its name, at most so many; whether it is new. Raises: BadInput."""
    new_here = keep(db, new, most, by.now_ms)
    return new_here, [Note(target=f"words:{new.name}", details={"words": len(new.words)})]


@act("words.remove")
def remove(db: sqlite3.Connection, by: Author, name: str) -> tuple[None, list[Note]]:
    """Forget a list. Raises: BadInput."""
    drop(db, by.guild_id, 0, name)
    return None, [Note(target=f"words:{name}")]


def keep(db: sqlite3.Connection, new: WordList, most: int, now_ms: int) -> bool:
    """Keep anybody's list; whether it is new. Raises: BadInput."""
    known = {each.name for each in rows.lists(db, new.guild_id, new.owner_id)}
    if new.name not in known and len(known) >= most:
        raise BadInput("{most} word lists are the most. Remove one first.", most=most)
    rows.save(db, new, now_ms)
    return new.name not in known


def drop(db: sqlite3.Connection, guild_id: int, owner_id: int, name: str) -> None:
    """Forget anybody's list. Raises: BadInput."""
    if not rows.remove(db, guild_id, owner_id, name):
        raise BadInput("There's no such word list. **/words list** shows those there are.")
