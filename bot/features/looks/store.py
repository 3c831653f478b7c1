"""Rows of looks, a server's styles made from pictures. Every function runs inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from bot.jobs import images
from bot.store import users


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A style made from pictures.

    Attributes:
        code: short, the same nowhere else. maker_id: a Discord id; 0 = somebody who is gone.
        aged: for age-restricted channels only. everywhere: its code works in other servers as well.
        pictures: sha256 of each, in hex, with its width and height in pixels.
    """

    name: str
    code: str
    guild_id: int
    maker_id: int
    aged: bool = False
    everywhere: bool = False
    pictures: tuple[tuple[str, tuple[int, int]], ...] = ()


def looks(db: sqlite3.Connection, guild_id: int) -> list[Look]:
    """A server's looks, by name."""
    rows = db.execute("SELECT * FROM look WHERE guild_id = ? ORDER BY name", (guild_id,))
    return [_read(db, row) for row in rows.fetchall()]


def named(db: sqlite3.Connection, guild_ids: Sequence[int], name: str) -> Look | None:
    """The look of that name in the first of these servers that has one, or the one with that code anywhere."""
    for guild_id in guild_ids:
        row = db.execute("SELECT * FROM look WHERE guild_id = ? AND name = ?", (guild_id, name)).fetchone()
        if row is not None:
            return _read(db, row)
    row = db.execute("SELECT * FROM look WHERE code = ?", (name,)).fetchone()
    return None if row is None else _read(db, row)


def add(db: sqlite3.Connection, new: Look, now_ms: int) -> None:
    """Keep a new look; its pictures are kept already."""
    users.ensure_guild(db, new.guild_id, now_ms)
    flags = int(new.aged), int(new.everywhere)
    row = db.execute(
        "INSERT INTO look (guild_id, name, code, maker_id, aged, everywhere, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " RETURNING id",
        (new.guild_id, new.name, new.code, new.maker_id, *flags, now_ms),
    ).fetchone()
    rows = [(row["id"], ordinal, bytes.fromhex(sha256)) for ordinal, (sha256, _) in enumerate(new.pictures)]
    db.executemany("INSERT INTO look_picture VALUES (?, ?, ?)", rows)


def remove(db: sqlite3.Connection, look: Look) -> None:
    """Forget a look, and the pictures that nothing else needs."""
    db.execute("DELETE FROM look WHERE guild_id = ? AND name = ?", (look.guild_id, look.name))
    images.drop_inputs(db, [sha256 for sha256, _ in look.pictures])


def _read(db: sqlite3.Connection, row: sqlite3.Row) -> Look:
    pictures = db.execute(
        "SELECT p.sha256, i.width, i.height FROM look_picture p JOIN input_image i ON i.sha256 = p.sha256"
        " WHERE p.look_id = ? ORDER BY p.ordinal",
        (row["id"],),
    )
    return Look(
        name=row["name"],
        code=row["code"],
        guild_id=row["guild_id"],
        maker_id=row["maker_id"],
        aged=bool(row["aged"]),
        everywhere=bool(row["everywhere"]),
        pictures=tuple((each["sha256"].hex(), (each["width"], each["height"])) for each in pictures),
    )
