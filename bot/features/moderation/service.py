"""Who may use Easel, where, and with which words: one check before anything is stored. Knows no Discord."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from PIL import Image

from bot.config import Settings
from bot.errors import BadInput, Banned, Busy, NotFound, NotYours, Refused
from bot.features.audit.service import Audit
from bot.features.moderation import child_safety
from bot.features.moderation import store as rows
from bot.features.moderation.store import EVERYWHERE, Appeal, Ban, BlockedWord, Pause, PauseMode, Rules, WordAction
from bot.features.moderation.word_filter import Matcher, pattern
from bot.orders.actor import Actor
from bot.prompt.text import quoted, shown, visible
from bot.store.clock import Clock
from bot.store.store import Store
from bot.store.ttl_cache import TTLCache
from engine.backend import Backend

T = TypeVar("T")
MAX_WORDS = 1000  # of one list
MAX_WILD = 100  # of them with `*`: each may be looked for at every letter of a prompt
MAX_APPEALS = 3  # of one person, waiting for a decision
LONG = 300  # characters of a prompt; below, a look takes about a millisecond
REASON = 300  # characters shown of what an admin wrote
FORBIDDEN = (
    "Easel makes no sexual pictures of minors, and nobody here can allow it. Nothing was charged. "
    "If you meant something else, describe it in other words."
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A listed word that a text contains."""

    word: BlockedWord
    text: str


class Moderation:
    """The rules of every server and of those who run the bot; each refusal is a `UserError` with a sentence."""

    def __init__(self, store: Store, audit: Audit, clock: Clock, settings: Settings, backend: Backend) -> None:
        self._store, self._audit, self._clock = store, audit, clock
        self._settings, self._backend = settings, backend
        self._recent = TTLCache(clock)
        self._lists: dict[int, tuple[Sequence[BlockedWord], Matcher]] = {}

    # ------------------------------------------------------------ before anything
    async def check_person(self, user_id: int, guild_id: int) -> None:
        """Raises: Banned."""
        if user_id in self._settings.operators:
            return
        bans = await self._recent.get("bans", lambda: self._store.read(rows.all_bans))
        for place in (EVERYWHERE, guild_id):
            ban = bans.get((place, user_id))
            if ban is not None and (ban.until_ms is None or ban.until_ms > self._clock.now_ms()):
                raise Banned(ban_sentence(ban))

    async def check_intake(self, user_id: int, guild_id: int) -> None:
        """Whether somebody's jobs are taken at all. Raises: Banned, Busy."""
        await self.check_person(user_id, guild_id)
        for pause in await self.pauses(guild_id):
            if pause.mode != "notice":
                raise Busy(f"{pause_sentence(pause)} Nothing was charged.")

    async def check(
        self, asker: Actor, texts: Sequence[str], without: Sequence[str] = (), *, final: bool = True
    ) -> None:
        """Whether this may be painted, here, by this person.

        Args:
            texts: prompts. without: what is to be left out: it is posted, so words count in it too.
            final: whether jobs follow at once: then words that are only noted are noted.
        Raises: Banned, Busy, Refused.
        """
        await self.check_intake(asker.user_id, asker.guild_id)
        rules = await self.check_channel(asker)
        for text in dict.fromkeys(texts):
            if await _aside(child_safety.forbidden, text):
                await self._note(asker, "prompt.refused", text, "minors")
                raise Refused(FORBIDDEN)
        for text in dict.fromkeys((*texts, *without)):
            await self._check_words(asker, text, rules, final)

    async def check_channel(self, asker: Actor) -> Rules:
        """The server's rules, if they allow this channel. Raises: Refused."""
        rules = await self.rules(asker.guild_id)
        check_channel(asker, rules)
        return rules

    async def check_upload(self, asker: Actor, image: Image.Image) -> None:
        """Whether a picture may be started from. Raises: Refused."""
        verdict = await self._backend.check(image)
        if verdict.flagged:
            details = {"reason": verdict.reason or ""}
            await self._audit.record(
                asker.guild_id, asker.user_id, "upload.refused", f"channel:{asker.channel_id}", details
            )
            raise Refused("The safety check refuses this picture, so Easel does not use it. Nothing was charged.")

    # ------------------------------------------------------------ words
    async def hits(self, guild_id: int, text: str) -> list[Hit]:
        """Every listed word of the server and of everywhere that is in the text, the strictest first."""
        found = []
        for place in dict.fromkeys((EVERYWHERE, guild_id)):
            listed, matcher = await self._list(place)
            found += [Hit(listed[number], text) for number in await _aside(matcher.find, text)]
        order: tuple[WordAction, ...] = ("block", "age", "flag")
        return sorted(found, key=lambda hit: order.index(hit.word.action))

    def forbidden(self, text: str) -> bool:
        """Whether the rule that nobody can switch off hits."""
        return child_safety.forbidden(text)

    async def words(self, guild_id: int) -> Sequence[BlockedWord]:
        return (await self._list(guild_id))[0]

    async def add_word(self, by: Actor, guild_id: int, word: str, action: WordAction) -> str:
        """List a word; the form in which it is kept. Raises: BadInput, NotYours."""
        self._check_operator(by, guild_id)
        kept = pattern(word)
        listed = [each.word for each in await self._store.read(rows.words, (guild_id,)) if each.word != kept]
        if len(listed) >= MAX_WORDS or ("*" in kept and sum("*" in each for each in listed) >= MAX_WILD):
            raise BadInput(f"A list holds at most {MAX_WORDS} words, {MAX_WILD} of them with *. Remove some first.")
        await self._store.write(rows.add_word, guild_id, kept, action, by.user_id, self._clock.now_ms())
        self._lists.pop(guild_id, None)
        await self._audit.record(guild_id, by.user_id, "word.add", f"word:{kept}", {"action": action})
        return kept

    async def remove_word(self, by: Actor, guild_id: int, word: str) -> str:
        """Raises: NotFound, NotYours, BadInput."""
        self._check_operator(by, guild_id)
        kept = pattern(word)
        if not await self._store.write(rows.remove_word, guild_id, kept):
            raise NotFound(f"{quoted(kept)} is not on the list. `/admin words action:list` shows what is.")
        self._lists.pop(guild_id, None)
        await self._audit.record(guild_id, by.user_id, "word.remove", f"word:{kept}")
        return kept

    async def _list(self, guild_id: int) -> tuple[Sequence[BlockedWord], Matcher]:
        if guild_id not in self._lists:
            listed = await self._store.read(rows.words, (guild_id,))
            self._lists[guild_id] = listed, Matcher(each.word for each in listed)
        return self._lists[guild_id]

    async def _check_words(self, asker: Actor, text: str, rules: Rules, final: bool) -> None:
        hits = await self.hits(asker.guild_id, text)
        refusing = [hit for hit in hits if hit.word.action == "block" or (hit.word.action == "age" and not asker.nsfw)]
        sha256 = hashlib.sha256(text.encode()).digest()
        if refusing and not await self._store.read(rows.is_approved, asker.guild_id, asker.user_id, sha256):
            await self._refuse(asker, refusing[0], rules, sha256)
        flagged = [hit.word.word for hit in hits if hit.word.action == "flag"]
        if flagged and final:
            await self._note(asker, "prompt.flagged", text, ", ".join(flagged))

    async def _refuse(self, asker: Actor, hit: Hit, rules: Rules, sha256: bytes) -> None:
        await self._note(asker, "prompt.refused", hit.text, hit.word.word)
        sentence = word_sentence(hit.word, rules.tell_word)
        if not rules.audit_channel:
            raise Refused(sentence)
        now_ms = self._clock.now_ms()
        appeal = await self._store.write(
            rows.refused, asker.guild_id, asker.user_id, hit.text, sha256, hit.word.word, now_ms
        )
        if appeal.state == "refused":
            raise Refused(sentence, appeal=appeal.id)
        asked = "You appealed; nobody has decided yet." if appeal.state == "open" else "Your appeal was denied."
        raise Refused(f"{sentence} {asked}")

    async def _note(self, asker: Actor, action: str, text: str, rule: str) -> None:
        details = {"rule": rule, "prompt": text, "channel": asker.channel_id}
        await self._audit.record(asker.guild_id, asker.user_id, action, f"user:{asker.user_id}", details)

    # ------------------------------------------------------------ appeals
    async def appeal(self, appeal_id: int, user_id: int) -> Appeal:
        """Send a refusal to those who decide; once. Raises: NotFound, NotYours, BadInput."""
        appeal = await self._appeal(appeal_id)
        if appeal.user_id != user_id:
            raise NotYours("Only the person whose prompt was refused can appeal.")
        if await self._store.read(rows.open_appeals, appeal.guild_id, user_id) >= MAX_APPEALS:
            raise BadInput(f"{MAX_APPEALS} of your appeals wait for a decision already. Try again after that.")
        if not await self._store.write(rows.move_appeal, appeal_id, "refused", "open", None):
            raise BadInput("You appealed already.")
        await self._audit.record(appeal.guild_id, user_id, "appeal.open", f"user:{user_id}", {"rule": appeal.rule})
        return replace(appeal, state="open")

    async def withdraw(self, appeal: Appeal) -> None:
        """Take back an appeal that could not be shown to anybody."""
        await self._store.write(rows.move_appeal, appeal.id, "open", "refused", None)

    async def decide(self, by: Actor, appeal_id: int, *, approve: bool) -> Appeal:
        """Let one prompt pass for one person, or not; the appeal as decided. Raises: NotFound, BadInput."""
        appeal = await self._appeal(appeal_id)
        if appeal.guild_id != by.guild_id:
            raise NotFound("There is no such appeal here.")
        to: rows.AppealState = "approved" if approve else "denied"
        if not await self._store.write(rows.move_appeal, appeal_id, "open", to, by.user_id):
            raise BadInput(f"This appeal was {(await self._appeal(appeal_id)).state} already.")
        action = "appeal.approve" if approve else "appeal.deny"
        await self._audit.record(by.guild_id, by.user_id, action, f"user:{appeal.user_id}", {"rule": appeal.rule})
        return replace(appeal, state=to, actor_id=by.user_id)

    async def _appeal(self, appeal_id: int) -> Appeal:
        appeal = await self._store.read(rows.appeal, appeal_id)
        if appeal is None:
            raise NotFound("This appeal is gone; its person deleted their data.")
        return appeal

    # ------------------------------------------------------------ bans, rules, pauses
    async def ban(self, by: Actor, guild_id: int, user_id: int, reason: str, until_ms: int | None) -> Ban:
        """Keep somebody out, for good or until a time (epoch ms). Raises: NotYours, BadInput."""
        self._check_operator(by, guild_id)
        if user_id == by.user_id:
            raise BadInput("You cannot ban yourself.")
        if user_id in self._settings.operators:
            raise NotYours("Those who run this bot cannot be banned from it.")
        ban = Ban(
            guild_id=guild_id, user_id=user_id, reason=visible(reason)[:500], until_ms=until_ms, actor_id=by.user_id
        )
        await self._store.write(rows.set_ban, ban, self._clock.now_ms())
        self._recent.clear()
        details = {"reason": reason, "until_ms": until_ms}
        await self._audit.record(guild_id, by.user_id, "ban.set", f"user:{user_id}", details)
        return ban

    async def unban(self, by: Actor, guild_id: int, user_id: int) -> None:
        """Raises: NotFound, NotYours."""
        self._check_operator(by, guild_id)
        if not await self._store.write(rows.lift_ban, guild_id, user_id):
            where = "everywhere" if guild_id == EVERYWHERE else "here"
            raise NotFound(f"This person is not banned {where}. `/admin ban` lists who is.")
        self._recent.clear()
        await self._audit.record(guild_id, by.user_id, "ban.lift", f"user:{user_id}")

    async def bans(self, guild_id: int) -> list[Ban]:
        """Those that hold now, the newest first."""
        return await self._store.read(rows.bans, guild_id, self._clock.now_ms())

    async def rules(self, guild_id: int) -> Rules:
        return await self._recent.get(("rules", guild_id), lambda: self._store.read(rows.rules, guild_id))

    async def set_rules(self, by: Actor, new: Rules) -> None:
        """Change the rules of the server one is in."""
        old = await self.rules(by.guild_id)
        await self._store.write(rows.set_rules, by.guild_id, new)
        self._recent.clear()
        changed = {
            name: _plain(getattr(new, name)) for name in Rules.__slots__ if getattr(new, name) != getattr(old, name)
        }
        await self._audit.record(by.guild_id, by.user_id, "rules.set", "", changed)

    async def pauses(self, guild_id: int) -> list[Pause]:
        """What holds in a server, that of everywhere first."""
        return await self._recent.get(("pauses", guild_id), lambda: self._store.read(rows.pauses, guild_id))

    async def pause(self, by: Actor, guild_id: int, mode: PauseMode | None, sentence: str) -> None:
        """Stop, drain, tell, or go on (None); kept through restarts. Raises: NotYours, BadInput."""
        self._check_operator(by, guild_id)
        if mode is None:
            if not await self._store.write(rows.lift_pause, guild_id):
                raise BadInput("Nothing is paused.")
            self._store.queued.set()
        else:
            pause = Pause(guild_id=guild_id, mode=mode, sentence=visible(sentence)[:500])
            await self._store.write(rows.set_pause, pause, by.user_id, self._clock.now_ms())
        self._recent.clear()
        await self._audit.record(guild_id, by.user_id, f"pause.{mode or 'off'}", "", {"sentence": sentence})

    def _check_operator(self, by: Actor, guild_id: int) -> None:
        if guild_id == EVERYWHERE and not by.is_operator:
            raise NotYours("Only those who run this bot can decide for every server.")


async def _aside(look: Callable[[str], T], text: str) -> T:
    """Look through a text; a long one takes tens of milliseconds, so elsewhere than in the event loop."""
    return look(text) if len(text) < LONG else await asyncio.to_thread(look, text)


def check_channel(asker: Actor, rules: Rules) -> None:
    """Raises: Refused."""
    if not asker.guild_id:
        return
    if rules.allowed and not rules.allowed & {asker.channel_id, asker.parent_id}:
        places = ", ".join(f"<#{channel}>" for channel in sorted(rules.allowed)[:10])
        raise Refused(f"Easel paints in other channels of this server: {places}. Nothing was charged.")
    if rules.age_only and not asker.nsfw:
        raise Refused("In this server Easel paints only in age-restricted channels. Nothing was charged.")


def ban_sentence(ban: Ban) -> str:
    where = "" if ban.guild_id == EVERYWHERE else " in this server"
    until = f" until <t:{ban.until_ms // 1000}:f>" if ban.until_ms else ""
    reason = f" Reason: {shown(ban.reason, REASON)}" if ban.reason else ""
    return f"You may not use Easel{where}{until}.{reason}"


def pause_sentence(pause: Pause) -> str:
    """What an admin wrote, or what we say ourselves."""
    own = "Easel takes no new jobs at the moment." if pause.mode != "notice" else ""
    return shown(pause.sentence, 500) or own


def word_sentence(word: BlockedWord, tell: bool) -> str:
    what = f"The word {quoted(word.word)}" if tell else "A word of this prompt"
    rule = "may only be used in age-restricted channels" if word.action == "age" else "is blocked here"
    return f"{what} {rule}. Choose other words; nothing was charged."


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value
