"""Rows of moderation: bans, blocked words, a server's rules, pauses, appeals. Knows no Discord.

Every function runs inside the caller's transaction. Guild 0 is everywhere. Times are UTC epoch ms.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

WordAction = Literal["block", "age", "flag"]
PauseMode = Literal["pause", "drain", "notice"]
MAX_STARS = 1000  # that a picture may need for the gallery
AppealState = Literal["refused", "open", "approved", "denied"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    guild_id: int
    user_id: int
    reason: str
    until_ms: int | None
    actor_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedWord:
    """`action`: refuse it, refuse it outside age-restricted channels, or only note it. `source`: the list it's from."""

    id: int
    guild_id: int
    word: str
    action: WordAction
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a server decided.

    Attributes:
        age_only: Easel paints in age-restricted channels only. tell_word: refusals name the word.
        spoiler: flagged pictures asked for in age-restricted channels are posted as spoilers, not withheld.
        stars: that bring a picture into the gallery channel. allowed: channels to paint in; none = everywhere.
        moderator_role: whose members may moderate, besides those who manage the server.
        answers_mentions: Easel paints when it's mentioned in a message.
    """

    age_only: bool = False
    tell_word: bool = True
    spoiler: bool = False
    stars: int = 3
    gallery_channel: int | None = None
    audit_channel: int | None = None
    moderator_role: int | None = None
    answers_mentions: bool = True
    allowed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """`pause` takes no jobs and starts none; `drain` takes none; `notice` only tells."""

    guild_id: int
    mode: PauseMode
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeal:
    id: int
    guild_id: int
    user_id: int
    prompt: str
    rule: str
    state: AppealState
    actor_id: int | None
    decided_ms: int | None


# ------------------------------------------------------------------ bans
def set_ban(db: sqlite3.Connection, ban: Ban, now_ms: int) -> None:
    """A second ban replaces the first."""
    row = (ban.guild_id, ban.user_id, ban.reason, ban.until_ms, ban.actor_id, now_ms)
    db.execute("INSERT OR REPLACE INTO ban VALUES (?, ?, ?, ?, ?, ?)", row)


def lift_ban(db: sqlite3.Connection, guild_id: int, user_id: int) -> bool:
    """False when there was none."""
    return db.execute("DELETE FROM ban WHERE guild_id = ? AND user_id = ?", (guild_id, user_id)).rowcount > 0


def all_bans(db: sqlite3.Connection) -> dict[tuple[int, int], Ban]:
    """Every ban, ended or not, by server and person."""
    return {(row["guild_id"], row["user_id"]): _ban(row) for row in db.execute("SELECT * FROM ban")}


def bans(db: sqlite3.Connection, guild_id: int, now_ms: int) -> list[Ban]:
    """Those that hold now, the newest first."""
    rows = db.execute(
        "SELECT * FROM ban WHERE guild_id = ? AND (until IS NULL OR until > ?) ORDER BY created_at DESC, user_id",
        (guild_id, now_ms),
    )
    return [_ban(row) for row in rows]


def _ban(row: sqlite3.Row) -> Ban:
    return Ban(
        guild_id=row["guild_id"],
        user_id=row["user_id"],
        reason=row["reason"],
        until_ms=row["until"],
        actor_id=row["actor_id"],
    )


# ------------------------------------------------------------------ words
def add_word(db: sqlite3.Connection, guild_id: int, word: str, action: WordAction, actor_id: int, now_ms: int) -> None:
    """A word that is listed already gets the new action."""
    db.execute(
        "INSERT INTO blocked_word (guild_id, word, action, actor_id, created_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (guild_id, word) DO UPDATE SET action = excluded.action, actor_id = excluded.actor_id",
        (guild_id, word, action, actor_id, now_ms),
    )


def remove_word(db: sqlite3.Connection, guild_id: int, word: str) -> bool:
    """False when it was not listed."""
    return db.execute("DELETE FROM blocked_word WHERE guild_id = ? AND word = ?", (guild_id, word)).rowcount > 0


def words(db: sqlite3.Connection, guild_ids: Sequence[int]) -> list[BlockedWord]:
    """In order of the alphabet."""
    marks = ", ".join("?" * len(guild_ids))
    rows = db.execute(f"SELECT * FROM blocked_word WHERE guild_id IN ({marks}) ORDER BY guild_id, word", guild_ids)
    return [BlockedWord(id=row["id"], guild_id=row["guild_id"], word=row["word"], action=row["action"]) for row in rows]


def attach(db: sqlite3.Connection, guild_id: int, name: str, action: WordAction, actor_id: int, now_ms: int) -> None:
    """A list that is attached already gets the new action."""
    row = (guild_id, name, action, actor_id, now_ms)
    db.execute("INSERT OR REPLACE INTO attached_list VALUES (?, ?, ?, ?, ?)", row)


def detach(db: sqlite3.Connection, guild_id: int, name: str) -> bool:
    """False when it wasn't attached."""
    return db.execute("DELETE FROM attached_list WHERE guild_id = ? AND name = ?", (guild_id, name)).rowcount > 0


def attached(db: sqlite3.Connection, guild_id: int) -> dict[str, WordAction]:
    """A server's shared lists by name, with the rule of words that name none."""
    rows = db.execute("SELECT name, action FROM attached_list WHERE guild_id = ? ORDER BY name", (guild_id,))
    return {row["name"]: row["action"] for row in rows}


# ------------------------------------------------------------------ a server's rules
def rules(db: sqlite3.Connection, guild_id: int) -> Rules:
    row = db.execute("SELECT * FROM moderation WHERE guild_id = ?", (guild_id,)).fetchone()
    listed = db.execute("SELECT channel_id FROM allowed_channel WHERE guild_id = ?", (guild_id,))
    allowed = frozenset(each["channel_id"] for each in listed)
    if row is None:
        return Rules(allowed=allowed)
    return Rules(
        age_only=bool(row["age_only"]),
        tell_word=bool(row["tell_word"]),
        spoiler=bool(row["spoiler"]),
        stars=row["stars"],
        gallery_channel=row["gallery_channel"],
        audit_channel=row["audit_channel"],
        moderator_role=row["moderator_role"],
        answers_mentions=bool(row["answers_mentions"]),
        allowed=allowed,
    )


def set_rules(db: sqlite3.Connection, guild_id: int, new: Rules) -> None:
    places = (new.gallery_channel, new.audit_channel, new.moderator_role)
    row = (guild_id, new.age_only, new.tell_word, new.spoiler, new.stars, *places, new.answers_mentions)
    db.execute("INSERT OR REPLACE INTO moderation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.execute("DELETE FROM allowed_channel WHERE guild_id = ?", (guild_id,))
    db.executemany("INSERT INTO allowed_channel VALUES (?, ?)", [(guild_id, each) for each in sorted(new.allowed)])


# ------------------------------------------------------------------ pauses
def set_pause(db: sqlite3.Connection, pause: Pause, actor_id: int, now_ms: int) -> None:
    row = (pause.guild_id, pause.mode, pause.sentence, actor_id, now_ms)
    db.execute("INSERT OR REPLACE INTO pause VALUES (?, ?, ?, ?, ?)", row)


def lift_pause(db: sqlite3.Connection, guild_id: int) -> bool:
    return db.execute("DELETE FROM pause WHERE guild_id = ?", (guild_id,)).rowcount > 0


def pauses(db: sqlite3.Connection, guild_id: int) -> list[Pause]:
    """What holds in a server, that of everywhere first."""
    rows = db.execute("SELECT * FROM pause WHERE guild_id IN (0, ?) ORDER BY guild_id", (guild_id,))
    return [Pause(guild_id=row["guild_id"], mode=row["mode"], sentence=row["sentence"]) for row in rows]


# ------------------------------------------------------------------ appeals
def refused(
    db: sqlite3.Connection, guild_id: int, user_id: int, prompt: str, sha256: bytes, rule: str, now_ms: int
) -> Appeal:
    """The appeal that somebody may make, or made already, about this text."""
    key = (user_id, guild_id, sha256)
    row = db.execute(
        "SELECT * FROM appeal WHERE user_id = ? AND guild_id = ? AND sha256 = ? ORDER BY id DESC LIMIT 1", key
    ).fetchone()
    if row is None:
        row = db.execute(
            "INSERT INTO appeal (guild_id, user_id, prompt, sha256, rule, created_at) VALUES (?, ?, ?, ?, ?, ?)"
            " RETURNING *",
            (guild_id, user_id, prompt, sha256, rule, now_ms),
        ).fetchone()
    return _appeal(row)


def appeal(db: sqlite3.Connection, appeal_id: int) -> Appeal | None:
    row = db.execute("SELECT * FROM appeal WHERE id = ?", (appeal_id,)).fetchone()
    return None if row is None else _appeal(row)


def open_appeals(db: sqlite3.Connection, guild_id: int, user_id: int) -> int:
    """How many of somebody's appeals nobody decided yet."""
    query = "SELECT count(*) AS n FROM appeal WHERE user_id = ? AND guild_id = ? AND state = 'open'"
    return int(db.execute(query, (user_id, guild_id)).fetchone()["n"])


def appeals(db: sqlite3.Connection, guild_id: int, state: AppealState, limit: int) -> list[Appeal]:
    """A server's appeals in a state, the last decided or asked first."""
    query = "SELECT * FROM appeal WHERE guild_id = ? AND state = ? ORDER BY ifnull(decided_at, 0) DESC, id DESC LIMIT ?"
    return [_appeal(row) for row in db.execute(query, (guild_id, state, limit))]


def move_appeal(
    db: sqlite3.Connection,
    appeal_id: int,
    was: AppealState,
    to: AppealState,
    actor_id: int | None = None,
    now_ms: int | None = None,
) -> bool:
    """Of several who decide, one does; False for the others. `actor_id` and `now_ms`: who decided, and when."""
    query = "UPDATE appeal SET state = ?, actor_id = ?, decided_at = ? WHERE id = ? AND state = ?"
    return db.execute(query, (to, actor_id, now_ms, appeal_id, was)).rowcount > 0


def is_approved(db: sqlite3.Connection, guild_id: int, user_id: int, sha256: bytes) -> bool:
    query = "SELECT 1 FROM appeal WHERE user_id = ? AND guild_id = ? AND sha256 = ? AND state = 'approved'"
    return db.execute(query, (user_id, guild_id, sha256)).fetchone() is not None


def _appeal(row: sqlite3.Row) -> Appeal:
    return Appeal(
        id=row["id"],
        guild_id=row["guild_id"],
        user_id=row["user_id"],
        prompt=row["prompt"],
        rule=row["rule"],
        state=row["state"],
        actor_id=row["actor_id"],
        decided_ms=row["decided_at"],
    )
