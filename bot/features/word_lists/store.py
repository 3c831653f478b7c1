"""Rows of word lists. Every function runs inside the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from bot.store import users


@dataclass(frozen=True, slots=True, kw_only=True)
class WordList:
    """A list under its name: a server's, or (`guild_id` 0) a member's own, which they have everywhere."""

    name: str
    words: tuple[str, ...]
    guild_id: int = 0
    owner_id: int = 0  # a Discord id; 0 = the server's


def lists(db: sqlite3.Connection, guild_id: int, owner_id: int) -> list[WordList]:
    """A server's lists, or with server 0 a member's own, by name."""
    rows = db.execute("SELECT * FROM word_list WHERE guild_id = ? AND owner_id = ? ORDER BY name", (guild_id, owner_id))
    return [
        WordList(
            name=row["name"],
            words=tuple(json.loads(row["words"])),
            guild_id=row["guild_id"],
            owner_id=row["owner_id"],
        )
        for row in rows
    ]


def save(db: sqlite3.Connection, new: WordList, now_ms: int) -> None:
    """Keep a list under its name."""
    users.ensure_guild(db, new.guild_id, now_ms)
    words = json.dumps(new.words, ensure_ascii=False)
    db.execute("INSERT OR REPLACE INTO word_list VALUES (?, ?, ?, ?)", (new.guild_id, new.owner_id, new.name, words))


def remove(db: sqlite3.Connection, guild_id: int, owner_id: int, name: str) -> bool:
    """Forget a list; False when there was none."""
    key = (guild_id, owner_id, name)
    return db.execute("DELETE FROM word_list WHERE guild_id = ? AND owner_id = ? AND name = ?", key).rowcount > 0
