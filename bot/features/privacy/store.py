"""Forgetting: a person, a server that left, and what is older than the operator keeps. Knows no Discord.

Every function runs inside the caller's transaction. Files are removed afterwards, as `bot.jobs.images` notes them. Jobs
are forgotten in portions, so that other writes go on in between.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from bot.features.audit import store as audit_store
from bot.features.privacy import personal_data
from bot.jobs import images as image_rows
from bot.jobs import lifecycle
from bot.ledger import allowance
from bot.store import key_values, users

PORTION = 100  # jobs of one transaction
TRACES = "traces"  # note: when rows were first and last deleted that may have left traces in the database's file
# jobs that will open a stored picture
NEEDING = "SELECT j.id FROM job j JOIN job_input i ON i.job_id = j.id AND j.state IN ('queued', 'running')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What one portion removed: how many jobs, and how many files nothing refers to any more."""

    jobs: int
    files: int


# ---------------------------------------------------------------- jobs, in portions
def forget_jobs_of(db: sqlite3.Connection, user_id: int, now_ms: int) -> Forgotten:
    """Forget the next portion of a person's jobs, in every server."""
    return _forget_jobs(db, "user_id = (SELECT id FROM user WHERE discord_id = ?)", user_id, now_ms)


def forget_jobs_in(db: sqlite3.Connection, guild_id: int, now_ms: int) -> Forgotten:
    """Forget the next portion of a server's jobs."""
    return _forget_jobs(db, "guild_id = ?", guild_id, now_ms)


def forget_jobs_before(db: sqlite3.Connection, before_ms: int, now_ms: int) -> Forgotten:
    """Forget the next portion of jobs that ended before `before_ms`."""
    return _forget_jobs(db, "finished_at < ?", before_ms, now_ms)


def _forget_jobs(db: sqlite3.Connection, where: str, value: int, now_ms: int) -> Forgotten:
    rows = db.execute(
        f"""
        SELECT id FROM (SELECT id FROM job WHERE deleted_at IS NULL AND {where} LIMIT {PORTION})
        UNION ALL
        SELECT job.id FROM deletion d CROSS JOIN job ON job.id = d.job_id WHERE deleted_at IS NOT NULL AND {where}
        LIMIT {PORTION}
        """,  # in two parts, so that each finds its index
        (value, value),
    )
    ids = [int(row["id"]) for row in rows.fetchall()]
    files = sum(lifecycle.delete(db, job_id, now_ms) for job_id in ids)
    if ids:
        leave_traces(db, now_ms)
    return Forgotten(jobs=len(ids), files=files)


def active_jobs(db: sqlite3.Connection, user_id: int) -> list[int]:
    """Ids of a person's jobs that wait or run, in every server."""
    rows = db.execute(
        "SELECT j.id FROM job j JOIN user u ON u.id = j.user_id"
        " WHERE u.discord_id = ? AND j.state IN ('queued', 'running')",
        (user_id,),
    )
    return [int(row[0]) for row in rows]


# ---------------------------------------------------------------- a person
def ask_erasure(db: sqlite3.Connection, user_id: int, now_ms: int) -> None:
    """Note that a member wants to be forgotten, until `erased`."""
    db.execute("INSERT INTO erasure VALUES (?, ?) ON CONFLICT DO NOTHING", (user_id, now_ms))


def unfinished_erasures(db: sqlite3.Connection) -> list[int]:
    """Who asked to be forgotten and isn't yet."""
    return [int(row["discord_id"]) for row in db.execute("SELECT discord_id FROM erasure ORDER BY asked_at")]


def erased(db: sqlite3.Connection, user_id: int) -> None:
    """Nothing is left of them."""
    db.execute("DELETE FROM erasure WHERE discord_id = ?", (user_id,))


def who_left(db: sqlite3.Connection) -> set[tuple[int, int]]:
    """The people who were forgotten, or asked to be: as number and time of their row, which outlive them."""
    rows = db.execute(
        "SELECT id, created_at FROM user WHERE discord_id IS NULL OR discord_id IN (SELECT discord_id FROM erasure)"
    )
    return {(int(row[0]), int(row[1])) for row in rows.fetchall()}


def ask_erasure_again(db: sqlite3.Connection, left: set[tuple[int, int]], now_ms: int) -> int:
    """Forget those who left since this database was what it is now again; how many there are."""
    rows = db.execute("SELECT id, created_at, discord_id FROM user WHERE discord_id IS NOT NULL").fetchall()
    back = [int(row["discord_id"]) for row in rows if (int(row["id"]), int(row["created_at"])) in left]
    for user_id in back:
        ask_erasure(db, user_id, now_ms)
    return len(back)


def leave_traces(db: sqlite3.Connection, now_ms: int) -> None:
    """Note that what was deleted may still stand in unused parts of the database's file."""
    since_ms = traces_since_ms(db)
    key_values.remember(db, TRACES, json.dumps([now_ms if since_ms is None else since_ms, now_ms]))


def traces_since_ms(db: sqlite3.Connection) -> int | None:
    """Since when there may be traces; None = there are none."""
    noted = key_values.recall(db, TRACES)
    return None if noted is None else int(json.loads(noted)[0])


def traces_overwritten(db: sqlite3.Connection, at_ms: int) -> None:
    """The file was written anew, a moment after `at_ms`; what was deleted later may have left traces again."""
    noted = key_values.recall(db, TRACES)
    if noted is not None and json.loads(noted)[1] <= at_ms:
        key_values.take(db, TRACES)


def forget_person(db: sqlite3.Connection, user_id: int, now_ms: int) -> int:
    """Forget who somebody is, after their jobs; how many files nothing refers to any more.

    The ledger keeps its lines under a number that names nobody. Bans stay: deleting must not be the way around one.
    """
    person = users.find(db, user_id)
    values = {"discord": user_id, "person": person or 0}
    files = _forget_uploads(db, person, now_ms) if person else 0
    leave_traces(db, now_ms)
    if person:
        allowance.leave(db, user_id, now_ms)
    for table in ("preference", "appeal", "report", "star", "gallery", "word_list", "macro", "api_key", "note"):
        mine = next(each.mine for each in personal_data.PERSONAL if each.table == table)
        db.execute(f"DELETE FROM {table} WHERE {mine.replace(' OR actor_id = :discord', '')}", values)
    for table in ("ban", "blocked_word", "attached_list", "pause"):
        db.execute(f"UPDATE {table} SET actor_id = 0 WHERE actor_id = ?", (user_id,))
    db.execute("UPDATE appeal SET actor_id = NULL WHERE actor_id = ?", (user_id,))
    db.execute("UPDATE look SET maker_id = 0 WHERE maker_id = ?", (user_id,))
    audit_store.forget_person(db, user_id)
    db.execute("UPDATE job SET message_id = NULL, reply_token = NULL WHERE user_id = :person", values)
    db.execute("UPDATE user SET discord_id = NULL WHERE id = :person", values)
    return files


def _forget_uploads(db: sqlite3.Connection, person: int, now_ms: int) -> int:
    """Forget pictures that were somebody's alone, also where others' jobs would use them again."""
    rows = db.execute("DELETE FROM upload WHERE user_id = ? RETURNING sha256", (person,)).fetchall()
    others = "SELECT 1 FROM upload WHERE sha256 = ?"
    mine = [bytes(row["sha256"]) for row in rows if not db.execute(others, (row["sha256"],)).fetchone()]
    paths: list[str] = []
    for sha256 in mine:
        for (job_id,) in db.execute(f"{NEEDING} WHERE i.sha256 = ?", (sha256.hex(),)).fetchall():
            lifecycle.cancel(db, job_id, now_ms)
        gone = db.execute("DELETE FROM input_image WHERE sha256 = ? RETURNING rel_path", (sha256,)).fetchall()
        paths += [str(row["rel_path"]) for row in gone]
    return image_rows.end_files(db, paths)


# ---------------------------------------------------------------- servers that left
def left(db: sqlite3.Connection, guild_id: int, now_ms: int) -> None:
    """Note that a server removed the bot; one that left before keeps its date."""
    known = db.execute("SELECT 1 FROM guild WHERE id = ? AND id > 0", (guild_id,)).fetchone()
    if known:
        db.execute("INSERT INTO departure (guild_id, left_at) VALUES (?, ?) ON CONFLICT DO NOTHING", (guild_id, now_ms))


def returned(db: sqlite3.Connection, guild_id: int) -> None:
    """A server has the bot again."""
    db.execute("DELETE FROM departure WHERE guild_id = ?", (guild_id,))


def compare_guilds(db: sqlite3.Connection, present: frozenset[int], now_ms: int) -> None:
    """Note what happened while nobody was listening: `present` are the servers the bot is in."""
    known = [int(row[0]) for row in db.execute("SELECT id FROM guild WHERE id > 0")]
    for guild_id in known:
        if guild_id in present:
            returned(db, guild_id)
        else:
            left(db, guild_id, now_ms)


def left_before(db: sqlite3.Connection, before_ms: int) -> list[int]:
    """Servers that left before `before_ms` and are not cleaned yet."""
    rows = db.execute("SELECT guild_id FROM departure WHERE left_at < ? AND cleaned = 0", (before_ms,))
    return [int(row[0]) for row in rows]


def forget_guild(db: sqlite3.Connection, guild_id: int, now_ms: int) -> None:
    """Forget what a server set and what was noted there, after its jobs. The ledger's lines stay."""
    jobs_here = "SELECT id FROM job WHERE guild_id = ?"
    for table in ("star", "gallery"):
        db.execute(f"DELETE FROM {table} WHERE job_id IN ({jobs_here})", (guild_id,))
    looks = "SELECT p.sha256 FROM look_picture p JOIN look l ON l.id = p.look_id WHERE l.guild_id = ?"
    pictures = [bytes(row["sha256"]).hex() for row in db.execute(looks, (guild_id,))]
    for table in (
        *("guild_default", "style", "look", "word_list", "open_gallery", "refusal", "region", "quota", "guild_budget"),
        *("subscription", "queue_server"),
        *("ban", "blocked_word", "attached_list", "moderation", "allowed_channel", "pause", "appeal", "report"),
    ):
        db.execute(f"DELETE FROM {table} WHERE guild_id = ?", (guild_id,))
    image_rows.drop_inputs(db, pictures)
    audit_store.forget_guild(db, guild_id)
    leave_traces(db, now_ms)
    db.execute("UPDATE departure SET cleaned = 1 WHERE guild_id = ?", (guild_id,))
