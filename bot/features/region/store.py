"""Rows of regions being chosen, and of the links to the browser's mask editor."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from bot.errors import NotFound
from bot.store import users

KEPT_MS = 7 * 86_400_000  # a chooser is seen by its person only, and not for longer than they keep Discord open
TOKEN_MS = 3_600_000  # how long a link to the editor opens it

_REGION = "SELECT r.*, u.discord_id FROM region r JOIN user u ON u.id = r.user_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRegion:
    """A picture somebody wants to change a part of.

    Attributes:
        source: sha256 of the stored input picture; width, height: its pixels.
        parent_image_id: the image of ours that it is, if it is one. prompt: what the form begins with.
        private: whether only its person sees the result.
    """

    user_id: int
    guild_id: int
    channel_id: int
    source: str
    width: int
    height: int
    parent_image_id: int | None = None
    prompt: str = ""
    private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Region(NewRegion):
    """The same, stored, with the cells chosen so far of a grid of `side` x `side`."""

    id: int
    side: int
    cells: frozenset[int]

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorPass:
    """What a link to the editor is good for.

    Attributes:
        interaction_id: that showed the link. message_id: of the message that holds it.
        reply_token: a secret; None unless the answer is private.
    """

    region: Region
    interaction_id: int
    application_id: int
    reply_token: str | None = field(repr=False)
    message_id: int | None = None


def drop_old(db: sqlite3.Connection, now_ms: int) -> None:
    """Forget links that expired, and regions nobody can choose of any more."""
    db.execute("DELETE FROM mask_token WHERE expires_at <= ?", (now_ms,))
    db.execute("DELETE FROM region WHERE created_at < ?", (now_ms - KEPT_MS,))


def begin(db: sqlite3.Connection, new: NewRegion, now_ms: int) -> Region:
    """Note that somebody is choosing a region."""
    person = users.get_or_create(db, new.user_id, new.guild_id, now_ms)
    row = db.execute(
        "INSERT INTO region (user_id, guild_id, channel_id, source, width, height, parent_image_id, prompt, private,"
        " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            person,
            new.guild_id,
            new.channel_id,
            new.source,
            new.width,
            new.height,
            new.parent_image_id,
            new.prompt,
            int(new.private),
            now_ms,
        ),
    ).fetchone()
    return get(db, row["id"])


def get(db: sqlite3.Connection, region_id: int) -> Region:
    """Raises: NotFound."""
    row = db.execute(f"{_REGION} WHERE r.id = ?", (region_id,)).fetchone()
    if row is None:
        raise NotFound("This region has expired. Open the picture again with **Edit region** or /inpaint.")
    return Region(
        id=row["id"],
        user_id=row["discord_id"] or 0,
        guild_id=row["guild_id"],
        channel_id=row["channel_id"],
        source=row["source"],
        width=row["width"],
        height=row["height"],
        parent_image_id=row["parent_image_id"],
        prompt=row["prompt"],
        private=bool(row["private"]),
        side=row["side"],
        cells=frozenset(cell for cell in range(row["side"] ** 2) if row["cells"] >> cell & 1),
    )


def press(db: sqlite3.Connection, region_id: int, cell: int) -> Region:
    """Choose a cell, or take it back. Raises: NotFound."""
    # a bit flips in one statement, so that of two quick presses none is lost (SQLite has no exclusive or)
    flip = "(cells | ?1) - (cells & ?1)"
    db.execute(f"UPDATE region SET cells = {flip} WHERE id = ?2 AND ?3 < side * side", (1 << cell, region_id, cell))
    return get(db, region_id)


def divide(db: sqlite3.Connection, region_id: int, side: int) -> Region:
    """Begin anew with `side` x `side` cells, none of them chosen. Raises: NotFound."""
    db.execute("UPDATE region SET side = ?, cells = 0 WHERE id = ?", (side, region_id))
    return get(db, region_id)


def mint(db: sqlite3.Connection, token_hash: bytes, new: EditorPass, now_ms: int) -> None:
    """Remember a link to the editor by its token's hash; forget those that expired."""
    db.execute("DELETE FROM mask_token WHERE expires_at <= ?", (now_ms,))
    db.execute(
        "INSERT INTO mask_token (token_hash, region_id, interaction_id, application_id, reply_token, message_id,"
        " expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            token_hash,
            new.region.id,
            new.interaction_id,
            new.application_id,
            new.reply_token,
            new.message_id,
            now_ms + TOKEN_MS,
        ),
    )


def look(db: sqlite3.Connection, token_hash: bytes, now_ms: int) -> EditorPass | None:
    """What a link is good for, without using it; None when it is unknown, used or too old."""
    row = db.execute(
        "SELECT * FROM mask_token WHERE token_hash = ? AND used_at IS NULL AND expires_at > ?", (token_hash, now_ms)
    ).fetchone()
    return _pass(db, row)


def use(db: sqlite3.Connection, token_hash: bytes, now_ms: int) -> EditorPass | None:
    """Use a link up: of all who try, one gets it."""
    row = db.execute(
        "UPDATE mask_token SET used_at = ?1 WHERE token_hash = ?2 AND used_at IS NULL AND expires_at > ?1 RETURNING *",
        (now_ms, token_hash),
    ).fetchone()
    return _pass(db, row)


def give_back(db: sqlite3.Connection, token_hash: bytes) -> None:
    """Make a link good again: what it was used for was refused."""
    db.execute("UPDATE mask_token SET used_at = NULL WHERE token_hash = ?", (token_hash,))


def finish(db: sqlite3.Connection, token_hash: bytes) -> None:
    """Forget a used link's secrets."""
    db.execute("UPDATE mask_token SET reply_token = NULL WHERE token_hash = ?", (token_hash,))


def _pass(db: sqlite3.Connection, row: sqlite3.Row | None) -> EditorPass | None:
    if row is None:
        return None
    return EditorPass(
        region=get(db, row["region_id"]),
        interaction_id=row["interaction_id"],
        application_id=row["application_id"],
        reply_token=row["reply_token"],
        message_id=row["message_id"],
    )
