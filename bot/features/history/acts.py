"""Opening a server's gallery to everyone, with its audit row. Knows no Discord."""

from __future__ import annotations

import sqlite3

from bot.features.audit.acts import Author, Note, act
from bot.features.history import store as rows


@act("gallery.page")
def open_gallery(db: sqlite3.Connection, by: Author, is_open: bool) -> tuple[None, list[Note]]:
    """Let everyone see the server's gallery in a browser, or nobody any more."""
    rows.set_open(db, by.guild_id, by.now_ms, is_open=is_open)
    return None, [Note(details={"open": is_open})]
