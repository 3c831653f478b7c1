"""What people in charge decide about members, words, channels and jobs, each with its row in the audit log.

Knows no Discord. Where an act counts everywhere, its author's server is 0.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from dataclasses import replace

from bot.errors import BadInput, NotFound, NotYours
from bot.features.audit.acts import Author, Note, act
from bot.features.audit.store import EVERYWHERE
from bot.features.moderation import store as rows
from bot.features.moderation.store import Appeal, Ban, Pause, PauseMode, Rules, WordAction
from bot.features.moderation.word_filter import pattern
from bot.prompt.text import quoted, visible

MAX_WORDS = 1000  # of one list
MAX_WILD = 100  # of them with `*`: each may be looked for at every letter of a prompt
MAX_APPEALS = 3  # of one person, waiting for a decision
MAX_REASON_CHARS = 500  # Discord's option has the same limit


# ------------------------------------------------------------------ bans
@act("ban.set")
def ban(
    db: sqlite3.Connection, by: Author, user_id: int, reason: str, until_ms: int | None, operators: Collection[int]
) -> tuple[Ban, list[Note]]:
    """Keep somebody out, for good or until a time (epoch ms). Raises: NotYours, BadInput."""
    if user_id == by.actor_id:
        raise BadInput("You cannot ban yourself.")
    if user_id in operators:
        raise NotYours("Those who run this bot cannot be banned from it.")
    new = Ban(
        guild_id=by.guild_id,
        user_id=user_id,
        reason=visible(reason)[:MAX_REASON_CHARS],
        until_ms=until_ms,
        actor_id=by.actor_id,
    )
    rows.set_ban(db, new, by.now_ms)
    return new, [Note(target=f"user:{user_id}", details={"reason": new.reason, "until_ms": until_ms})]


@act("ban.lift")
def unban(db: sqlite3.Connection, by: Author, user_id: int) -> tuple[None, list[Note]]:
    """Let somebody back in. Raises: NotFound."""
    if not rows.lift_ban(db, by.guild_id, user_id):
        where = "everywhere" if by.guild_id == EVERYWHERE else "here"
        raise NotFound(f"This person is not banned {where}. `/admin ban` lists who is.")
    return None, [Note(target=f"user:{user_id}")]


# ------------------------------------------------------------------ words
@act("word.add")
def add_word(db: sqlite3.Connection, by: Author, word: str, action: WordAction) -> tuple[str, list[Note]]:
    """List a word; the form in which it is kept. Raises: BadInput."""
    kept = pattern(word)
    listed = [each.word for each in rows.words(db, (by.guild_id,)) if each.word != kept]
    if len(listed) >= MAX_WORDS or ("*" in kept and sum("*" in each for each in listed) >= MAX_WILD):
        raise BadInput(f"A list holds at most {MAX_WORDS} words, {MAX_WILD} of them with *. Remove some first.")
    rows.add_word(db, by.guild_id, kept, action, by.actor_id, by.now_ms)
    return kept, [Note(target=f"word:{kept}", details={"action": action})]


@act("word.remove")
def remove_word(db: sqlite3.Connection, by: Author, word: str) -> tuple[str, list[Note]]:
    """Take a word off the list; the form in which it was kept. Raises: NotFound, BadInput."""
    kept = pattern(word)
    if not rows.remove_word(db, by.guild_id, kept):
        raise NotFound(f"{quoted(kept)} is not on the list. `/admin words action:list` shows what is.")
    return kept, [Note(target=f"word:{kept}")]


# ------------------------------------------------------------------ a server's rules
@act("rules.set")
def change_rules(db: sqlite3.Connection, by: Author, change: Callable[[Rules], Rules]) -> tuple[Rules, list[Note]]:
    """Change a server's rules; those that hold now. Nothing is noted when they stay the same."""
    old = rows.rules(db, by.guild_id)
    new = change(old)
    if new == old:
        return old, []
    rows.set_rules(db, by.guild_id, new)
    changed = {name: _plain(getattr(new, name)) for name in Rules.__slots__ if getattr(new, name) != getattr(old, name)}
    return new, [Note(details=changed)]


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value


# ------------------------------------------------------------------ pauses
@act("pause.pause", "pause.drain", "pause.notice")
def pause(db: sqlite3.Connection, by: Author, mode: PauseMode, sentence: str) -> tuple[None, list[Note]]:
    """Stop, drain or tell everybody; kept through restarts."""
    new = Pause(guild_id=by.guild_id, mode=mode, sentence=visible(sentence)[:MAX_REASON_CHARS])
    rows.set_pause(db, new, by.actor_id, by.now_ms)
    return None, [Note(action=f"pause.{mode}", details={"sentence": new.sentence})]


@act("pause.off")
def resume(db: sqlite3.Connection, by: Author) -> tuple[None, list[Note]]:
    """Go on. Raises: BadInput."""
    if not rows.lift_pause(db, by.guild_id):
        raise BadInput("Nothing is paused.")
    return None, [Note()]


# ------------------------------------------------------------------ appeals
@act("appeal.open")
def open_appeal(db: sqlite3.Connection, by: Author, appeal_id: int) -> tuple[Appeal, list[Note]]:
    """Send a refusal to those who decide; once. Raises: NotFound, NotYours, BadInput."""
    appeal = _appeal(db, appeal_id)
    if appeal.user_id != by.actor_id:
        raise NotYours("Only the person whose prompt was refused can appeal.")
    if rows.open_appeals(db, appeal.guild_id, by.actor_id) >= MAX_APPEALS:
        raise BadInput(f"{MAX_APPEALS} of your appeals wait for a decision already. Try again after that.")
    if not rows.move_appeal(db, appeal_id, "refused", "open", None):
        raise BadInput("You appealed already.")
    note = Note(target=f"user:{appeal.user_id}", details={"rule": appeal.rule}, guild_id=appeal.guild_id)
    return replace(appeal, state="open"), [note]


@act("appeal.approve", "appeal.deny")
def decide(db: sqlite3.Connection, by: Author, appeal_id: int, approve: bool) -> tuple[Appeal, list[Note]]:
    """Let one prompt pass for one person, or not; the appeal as decided. Raises: NotFound, BadInput."""
    appeal = _appeal(db, appeal_id)
    if appeal.guild_id != by.guild_id:
        raise NotFound("There is no such appeal here.")
    to: rows.AppealState = "approved" if approve else "denied"
    if not rows.move_appeal(db, appeal_id, "open", to, by.actor_id):
        raise BadInput(f"This appeal was {appeal.state} already.")
    action = "appeal.approve" if approve else "appeal.deny"
    note = Note(action=action, target=f"user:{appeal.user_id}", details={"rule": appeal.rule})
    return replace(appeal, state=to, actor_id=by.actor_id), [note]


def _appeal(db: sqlite3.Connection, appeal_id: int) -> Appeal:
    appeal = rows.appeal(db, appeal_id)
    if appeal is None:
        raise NotFound("This appeal is gone; its person deleted their data.")
    return appeal
