"""Announcements to every server, with their row in the audit log. Knows no Discord."""

from __future__ import annotations

import json
import sqlite3

from bot.errors import NotFound, NotYours
from bot.features.audit.acts import Author, Note, act
from bot.store import key_values

PENDING = "announce:"  # a fact: what an operator was asked about, as [their id, text]


@act("announce.send")
def announce(db: sqlite3.Connection, by: Author, number: int, servers: int) -> tuple[str, list[Note]]:
    """Take an announcement that its author was asked about; its text. Of two presses one gets it.

    `servers` is how many will be told: sending follows, and can't be taken back. Raises: NotFound, NotYours.
    """
    kept = key_values.take(db, f"{PENDING}{number}")
    if kept is None:
        raise NotFound("This announcement has already been sent.")
    author, text = json.loads(kept)
    if author != by.actor_id:
        raise NotYours("Only the person who wrote this announcement can send it.")
    return text, [Note(details={"text": text, "servers": servers})]
