"""What changes API keys, each with its row in the audit log. Knows no Discord."""

from __future__ import annotations

import secrets
import sqlite3

from bot.errors import NotFound
from bot.features.api import store as rows
from bot.features.api.store import KeyHolder
from bot.features.audit.acts import Author, Note, act

PREFIX = "easel-"  # so that a key that was posted somewhere can be found


@act("api.key")
def make_key(db: sqlite3.Connection, by: Author, holder: KeyHolder) -> tuple[str, list[Note]]:
    """Give a member a key, which is shown this once; those they have stay good."""
    key = PREFIX + secrets.token_urlsafe(32)
    rows.add(db, key, holder, by.now_ms)
    return key, [Note(target=f"user:{holder.user_id}", details={"channel_id": holder.channel_id})]


@act("api.revoke")
def revoke_keys(db: sqlite3.Connection, by: Author, user_id: int) -> tuple[int, list[Note]]:
    """End all keys of a member in the author's server. Raises: NotFound when there is none."""
    count = rows.revoke(db, user_id, by.guild_id)
    if not count:
        raise NotFound(f"{user_id} has no API key in server {by.guild_id}.")
    return count, [Note(target=f"user:{user_id}", details={"keys": count})]
