"""What people in charge decide about members, words, channels and jobs, each with its row in the audit log.

Knows no Discord. Where an act counts everywhere, its author's server is 0.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping
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
    """Ban a user, for good or until a time (epoch ms). Raises: NotYours, BadInput."""
    if user_id == by.actor_id:
        raise BadInput("You can't ban yourself.")
    if user_id in operators:
        raise NotYours("The people who run this bot can't be banned.")
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
    """Lift a ban. Raises: NotFound."""
    if not rows.lift_ban(db, by.guild_id, user_id):
        if by.guild_id == EVERYWHERE:
            raise NotFound("This user isn't banned everywhere. `/admin ban` lists who is.")
        raise NotFound("This user isn't banned in this server. `/admin ban` lists who is.")
    return None, [Note(target=f"user:{user_id}")]


# ------------------------------------------------------------------ words
@act("word.add")
def add_word(db: sqlite3.Connection, by: Author, word: str, action: WordAction) -> tuple[str, list[Note]]:
    """Add a word to the list; return it as it's kept. Raises: BadInput."""
    kept = pattern(word)
    listed = [each.word for each in rows.words(db, (by.guild_id,)) if each.word != kept]
    if len(listed) >= MAX_WORDS or ("*" in kept and sum("*" in each for each in listed) >= MAX_WILD):
        raise BadInput(
            "A list can hold {max_words:,} words, {max_wild} of them with *. Remove some first.",
            max_words=MAX_WORDS,
            max_wild=MAX_WILD,
        )
    rows.add_word(db, by.guild_id, kept, action, by.actor_id, by.now_ms)
    return kept, [Note(target=f"word:{kept}", details={"action": action})]


@act("word.remove")
def remove_word(db: sqlite3.Connection, by: Author, word: str) -> tuple[str, list[Note]]:
    """Take a word off the list; return it as it was kept. Raises: NotFound, BadInput."""
    listed = [each.word for each in rows.words(db, (by.guild_id,))]
    kept = word if word in listed else pattern(word)
    same = [each for each in listed if each == kept or _same(each, kept)]  # read by an older table of look-alikes
    for each in same:
        rows.remove_word(db, by.guild_id, each)
    if not same:
        raise NotFound("{kept} isn't on the list. `/admin words action:list` shows what is.", kept=quoted(kept))
    return kept, [Note(target=f"word:{each}") for each in same]


def _same(listed: str, kept: str) -> bool:
    try:
        return pattern(listed) == kept
    except BadInput:  # what would be refused today
        return False


@act("word.import")
def import_words(db: sqlite3.Connection, by: Author, words: Mapping[str, WordAction]) -> tuple[str, list[Note]]:
    """Add many words, or none; return how many there are. Raises: BadInput."""
    listed = {each.word for each in rows.words(db, (by.guild_id,))} | set(words)
    if len(listed) > MAX_WORDS or sum("*" in each for each in listed) > MAX_WILD:
        raise BadInput(
            "A list can hold {max_words:,} words, {max_wild} of them with *. Nothing was changed.",
            max_words=MAX_WORDS,
            max_wild=MAX_WILD,
        )
    for word, action in words.items():
        rows.add_word(db, by.guild_id, word, action, by.actor_id, by.now_ms)
    return str(len(words)), [Note(details={"words": len(words)})] if words else []


@act("word.attach")
def attach_list(db: sqlite3.Connection, by: Author, name: str, action: WordAction) -> tuple[str, list[Note]]:
    """Let a shared list hold here; return its name."""
    rows.attach(db, by.guild_id, name, action, by.actor_id, by.now_ms)
    return name, [Note(target=f"list:{name}", details={"action": action})]


@act("word.detach")
def detach_list(db: sqlite3.Connection, by: Author, name: str) -> tuple[str, list[Note]]:
    """Let a shared list hold here no longer; return its name. Raises: NotFound."""
    if not rows.detach(db, by.guild_id, name):
        raise NotFound("The list {name} isn't attached. `/admin words action:list` shows which are.", name=quoted(name))
    return name, [Note(target=f"list:{name}")]


# ------------------------------------------------------------------ a server's rules
@act("rules.set")
def change_rules(db: sqlite3.Connection, by: Author, change: Callable[[Rules], Rules]) -> tuple[Rules, list[Note]]:
    """Change a server's rules and return them. If nothing changes, nothing is noted."""
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
    """Pause, drain, or post a notice. It survives restarts."""
    new = Pause(guild_id=by.guild_id, mode=mode, sentence=visible(sentence)[:MAX_REASON_CHARS])
    rows.set_pause(db, new, by.actor_id, by.now_ms)
    return None, [Note(action=f"pause.{mode}", details={"sentence": new.sentence})]


@act("pause.off")
def resume(db: sqlite3.Connection, by: Author) -> tuple[None, list[Note]]:
    """Resume. Raises: BadInput."""
    if not rows.lift_pause(db, by.guild_id):
        raise BadInput("Nothing is paused. `/admin pause` without options shows what's set.")
    return None, [Note()]


# ------------------------------------------------------------------ appeals
@act("appeal.open")
def open_appeal(db: sqlite3.Connection, by: Author, appeal_id: int) -> tuple[Appeal, list[Note]]:
    """Ask the admins to review a refusal, once. Raises: NotFound, NotYours, BadInput."""
    appeal = _appeal(db, appeal_id)
    if appeal.user_id != by.actor_id:
        raise NotYours("Only the person whose prompt was refused can appeal.")
    if rows.open_appeals(db, appeal.guild_id, by.actor_id) >= MAX_APPEALS:
        raise BadInput(
            "You already have {max_appeals} appeals waiting for a decision. Try again once one is decided.",
            max_appeals=MAX_APPEALS,
        )
    if not rows.move_appeal(db, appeal_id, "refused", "open"):
        raise BadInput("You've already appealed.")
    note = Note(target=f"user:{appeal.user_id}", details={"rule": appeal.rule}, guild_id=appeal.guild_id)
    return replace(appeal, state="open"), [note]


@act("appeal.approve", "appeal.deny")
def decide(db: sqlite3.Connection, by: Author, appeal_id: int, approve: bool) -> tuple[Appeal, list[Note]]:
    """Allow one prompt for one member, or don't; return the decided appeal. Raises: NotFound, BadInput."""
    appeal = _appeal_of(db, by, appeal_id)
    to: rows.AppealState = "approved" if approve else "denied"
    if not rows.move_appeal(db, appeal_id, "open", to, by.actor_id, by.now_ms):
        raise BadInput("This appeal was decided already.")
    action = "appeal.approve" if approve else "appeal.deny"
    note = Note(action=action, target=f"user:{appeal.user_id}", details={"rule": appeal.rule})
    return replace(appeal, state=to, actor_id=by.actor_id, decided_ms=by.now_ms), [note]


@act("appeal.revoke")
def revoke(db: sqlite3.Connection, by: Author, appeal_id: int) -> tuple[Appeal, list[Note]]:
    """Take an approval back: the prompt is refused again. Raises: NotFound, BadInput."""
    appeal = _appeal_of(db, by, appeal_id)
    if not rows.move_appeal(db, appeal_id, "approved", "denied", by.actor_id, by.now_ms):
        raise BadInput("This prompt isn't approved any more.")
    note = Note(target=f"user:{appeal.user_id}", details={"rule": appeal.rule})
    return replace(appeal, state="denied", actor_id=by.actor_id, decided_ms=by.now_ms), [note]


def _appeal_of(db: sqlite3.Connection, by: Author, appeal_id: int) -> Appeal:
    """An appeal of the server where somebody decides. Raises: NotFound."""
    appeal = _appeal(db, appeal_id)
    if appeal.guild_id != by.guild_id:
        raise NotFound("There's no such appeal in this server.")
    return appeal


def _appeal(db: sqlite3.Connection, appeal_id: int) -> Appeal:
    appeal = rows.appeal(db, appeal_id)
    if appeal is None:
        raise NotFound("This appeal is gone because the member deleted their data.")
    return appeal
