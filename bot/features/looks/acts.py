"""What people in charge do to a server's looks, each with its audit row. Knows no Discord."""

from __future__ import annotations

import sqlite3

from bot.errors import BadInput, NotFound
from bot.features.audit.acts import Author, Note, act
from bot.features.looks import store as rows
from bot.features.looks.store import Look

MAX_LOOKS = 50  # of a server


@act("look.add")
def add(db: sqlite3.Connection, by: Author, new: Look) -> tuple[None, list[Note]]:
    """Keep a look under a name that is free. Raises: BadInput."""
    known = {each.name for each in rows.looks(db, by.guild_id)}
    if new.name in known:
        raise BadInput("There's a style from pictures called `{name}` already. Take another name.", name=new.name)
    if len(known) >= MAX_LOOKS:
        raise BadInput(
            "{most} styles from pictures are the most. Remove one first with **/style forget**.", most=MAX_LOOKS
        )
    rows.add(db, new, by.now_ms)
    details = {"code": new.code, "pictures": len(new.pictures), "everywhere": new.everywhere}
    return None, [Note(target=f"look:{new.name}", details=details)]


@act("look.remove")
def remove(db: sqlite3.Connection, by: Author, name: str) -> tuple[Look, list[Note]]:
    """Forget a look, named or by its code; what it was. Raises: NotFound."""
    found = rows.named(db, [by.guild_id], name)
    if found is None or found.guild_id != by.guild_id:
        raise NotFound("There's no such style here. **/style codes** shows those there are.")
    rows.remove(db, found)
    return found, [Note(target=f"look:{found.name}", details={"code": found.code})]
