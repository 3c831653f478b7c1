"""Who may use Easel, where, and with which words: one check before anything is stored. Knows no Discord."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ParamSpec, TypeVar

from PIL import Image

from bot.config import Settings
from bot.errors import Banned, Busy, NotYours, Refused, UserError
from bot.features.audit.acts import Act
from bot.features.audit.service import Audit, Bound, Event
from bot.features.audit.store import EVERYWHERE
from bot.features.moderation import acts, child_safety, lists
from bot.features.moderation import store as rows
from bot.features.moderation.lists import SharedLists
from bot.features.moderation.store import Appeal, AppealState, Ban, BlockedWord, Pause, PauseMode, Rules, WordAction
from bot.features.moderation.word_filter import Matcher
from bot.languages.speech import N_, _, later
from bot.orders.actor import Actor
from bot.prompt.text import quoted, shown
from bot.store.clock import Clock
from bot.store.store import Store
from bot.store.ttl_cache import TTLCache
from bot.threads.pools import TEXTS
from engine.backend import Backend

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)
LONG = 300  # characters of a prompt; below, a look takes about a millisecond
SOME_CHANNELS = N_(
    "A server you share with Easel limits it to some of its channels, so it can't be used in direct messages. "
    "Nothing was charged."
)
ELSEWHERE = N_(" here: you're banned in a server you share with it")
REASON = 300  # characters shown of what an admin wrote
FORBIDDEN = N_(
    "Easel doesn't make sexual images of minors, and no one here can allow it. Nothing was charged. "
    "If you meant something else, describe it in other words."
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A listed word that a text contains."""

    word: BlockedWord
    text: str


@dataclass(frozen=True, slots=True)
class _List:
    """What is blocked in a place; `versions` of the shared files it was made from."""

    words: Sequence[BlockedWord]
    matcher: Matcher
    versions: Mapping[str, lists.Version | None]


class Moderation:
    """The rules of each server and of the bot's operators; each refusal is a `UserError` with a sentence."""

    def __init__(
        self, store: Store, audit: Audit, clock: Clock, settings: Settings, backend: Backend, queued: asyncio.Event
    ) -> None:
        """`queued` is set when jobs that a pause held may go on."""
        self._store, self._audit, self._clock = store, audit, clock
        self._settings, self._backend, self._queued = settings, backend, queued
        self._recent = TTLCache(clock)
        self.lists = SharedLists(settings.data_dir)
        self._lists: dict[int, _List] = {}
        self._list_changes = 0
        self._list_turn = asyncio.Lock()

    # ------------------------------------------------------------ before anything
    async def check_person(self, actor: Actor) -> None:
        """Raises: Banned."""
        if actor.user_id in self._settings.operators:
            return
        bans = await self._recent.get("bans", lambda: self._store.read(rows.all_bans))
        for place in dict.fromkeys((EVERYWHERE, *actor.places)):
            ban = bans.get((place, actor.user_id))
            if ban is not None and (ban.until_ms is None or ban.until_ms > self._clock.now_ms()):
                raise Banned("{why}", why=later(ban_sentence, ban, actor.guild_id))

    async def check_intake(self, actor: Actor) -> None:
        """Check whether a member's jobs are taken at all. Raises: Banned, Busy."""
        await self.check_person(actor)
        for place in actor.places:
            for pause in await self.pauses(place):
                if pause.mode != "notice":
                    raise Busy("{why} Nothing was charged.", why=later(pause_sentence, pause))

    async def check(
        self, actor: Actor, texts: Sequence[str], without: Sequence[str] = (), *, final: bool = True
    ) -> None:
        """Check whether this member may generate this here.

        Args:
            texts: prompts. without: negative prompts; they are posted too, so blocked words count in them.
            final: whether jobs follow at once; only then are flagged words noted.
        Raises: Banned, Busy, Refused.
        """
        await self.check_intake(actor)
        await self.check_channel(actor)
        for text in dict.fromkeys(texts):
            if await _aside(child_safety.forbidden, text):
                await self._note(actor, "prompt.refused", text, "minors")
                raise Refused(FORBIDDEN, shows_words=False)
        for text in dict.fromkeys((*texts, *without)):
            await self._check_words(actor, text, final)

    async def check_channel(self, actor: Actor) -> None:
        """Check whether the rules that hold here allow this channel. Raises: Refused."""
        for place in actor.places:
            check_channel(actor, await self.rules(place))

    async def check_upload(self, actor: Actor, image: Image.Image) -> None:
        """Check whether an uploaded image may be used. Raises: Refused."""
        verdict = await self._backend.check(image, adults=actor.nsfw)
        if verdict.flagged:
            details = {"reason": verdict.reason or ""}
            await self._audit.record(
                actor.guild_id, actor.user_id, "upload.refused", f"channel:{actor.channel_id}", details
            )
            raise Refused("The safety check flagged this image, so it can't be used. Nothing was charged.")

    # ------------------------------------------------------------ words
    async def hits(self, text: str, *guild_ids: int) -> list[Hit]:
        """Return the listed words, of these servers and of everywhere, that the text contains; the strictest first."""
        found = []
        for place in dict.fromkeys((EVERYWHERE, *guild_ids)):
            known = await self._list(place)
            found += [Hit(known.words[number], text) for number in await _aside(known.matcher.find, text)]
        order: tuple[WordAction, ...] = ("block", "age", "flag")
        return sorted(found, key=lambda hit: order.index(hit.word.action))

    def forbidden(self, text: str) -> bool:
        """Return whether the text breaks the rule that can't be switched off."""
        return child_safety.forbidden(text)

    async def words(self, guild_id: int) -> Sequence[BlockedWord]:
        """Return a list's own words, without those of shared lists."""
        return [each for each in (await self._list(guild_id)).words if not each.source]

    async def attached(self, guild_id: int) -> dict[str, WordAction]:
        """Return the shared lists that hold in a server, with the rule of words that name none."""
        return await self._store.read(rows.attached, guild_id)

    async def import_words(self, by: Actor, guild_id: int, data: bytes, action: WordAction) -> str:
        """Add the words of a file to a list; return how many. Raises: BadInput, NotYours; then nothing was changed."""
        words = lists.read(data, action, acts.MAX_WORDS)
        return await self._change_list(by, guild_id, lambda db, author: acts.import_words(db, author, words), None)

    async def attach(self, by: Actor, guild_id: int, name: str, action: WordAction) -> str:
        """Let a shared list hold; return its name. Raises: NotFound, BadInput, NotYours."""
        await TEXTS.run(self.lists.words, name, action)
        return await self._change_list(
            by, guild_id, lambda db, author: acts.attach_list(db, author, name, action), None
        )

    async def detach(self, by: Actor, guild_id: int, name: str) -> str:
        """Let a shared list hold no longer; return its name. Raises: NotFound, NotYours."""
        return await self._change_list(by, guild_id, lambda db, author: acts.detach_list(db, author, name), None)

    async def add_word(
        self, by: Actor, guild_id: int, word: str, action: WordAction, *, tell: bool | None = None
    ) -> str:
        """Add a word to a list; return it as it's kept. With `tell`, also set whether refusals name the word.

        Raises: BadInput, NotYours; then nothing was changed.
        """
        return await self._change_list(by, guild_id, lambda db, author: acts.add_word(db, author, word, action), tell)

    async def remove_word(self, by: Actor, guild_id: int, word: str, *, tell: bool | None = None) -> str:
        """Take a word off a list; return it as it was kept. `tell` as for `add_word`.

        Raises: NotFound, NotYours, BadInput; then nothing was changed.
        """
        return await self._change_list(by, guild_id, lambda db, author: acts.remove_word(db, author, word), tell)

    async def _change_list(self, by: Actor, guild_id: int, change: Bound, tell: bool | None) -> str:
        _check_everywhere(by, guild_id)
        planned = [(guild_id, change)]
        if tell is not None:
            planned.append((by.guild_id, lambda db, author: acts.change_rules(db, author, partial(_telling, tell))))
        kept, *_ = await self._audit.perform_all(by, *planned)
        self._lists.pop(guild_id, None)
        self._list_changes += 1
        self._recent.clear()
        return str(kept)

    async def _list(self, guild_id: int) -> _List:
        if (known := self._fresh_list(guild_id)) is not None:
            return known
        async with self._list_turn:  # a crowd that meets no list has it read once
            if (known := self._fresh_list(guild_id)) is not None:
                return known
            changes = self._list_changes
            own, attached = await self._store.read(rows.words, (guild_id,)), await self.attached(guild_id)
            found = await TEXTS.run(self._made, guild_id, own, attached)
            if changes == self._list_changes:  # else the list was read before a change and would stay old
                self._lists[guild_id] = found
            return found

    def _fresh_list(self, guild_id: int) -> _List | None:
        """A server's words, unless its files have changed since."""
        known = self._lists.get(guild_id)
        if known is None or any(self.lists.version(name) != version for name, version in known.versions.items()):
            return None
        return known

    def _made(self, guild_id: int, own: Sequence[BlockedWord], attached: Mapping[str, WordAction]) -> _List:
        """Own words and those of shared files, as the files are now. Runs in a worker thread."""
        versions = {name: self.lists.version(name) for name in attached}
        words = [*own]
        for name, rule in attached.items():
            try:
                read = self.lists.words(name, rule)
            except (UserError, OSError) as error:  # its file was changed or removed since
                log.warning("the word list %s of server %d can't be used: %s", name, guild_id, error)
                continue
            words += [
                BlockedWord(id=0, guild_id=guild_id, word=word, action=action, source=name)
                for word, action in read.items()
            ]
        return _List(words, Matcher(each.word for each in words), versions)

    async def _check_words(self, actor: Actor, text: str, final: bool) -> None:
        hits = await self.hits(text, *actor.places)
        sha256 = hashlib.sha256(text.encode()).digest()
        for hit in hits:
            refused = hit.word.action == "block" or (hit.word.action == "age" and not actor.nsfw)
            place = hit.word.guild_id or actor.guild_id
            if refused and not await self._store.read(rows.is_approved, place, actor.user_id, sha256):
                await self._refuse(actor, hit, await self.rules(place), sha256)
        flagged = [hit.word.word for hit in hits if hit.word.action == "flag"]
        if flagged and final:
            await self._note(actor, "prompt.flagged", text, ", ".join(flagged))

    async def _refuse(self, actor: Actor, hit: Hit, rules: Rules, sha256: bytes) -> None:
        await self._note(actor, "prompt.refused", hit.text, hit.word.word)
        why = later(word_sentence, hit.word, rules.tell_word)
        if not rules.audit_channel or not actor.guild_id:  # what is said in direct messages is for no server's eyes
            raise Refused("{why}", why=why)
        now_ms = self._clock.now_ms()
        appeal = await self._store.write(
            rows.refused, actor.guild_id, actor.user_id, hit.text, sha256, hit.word.word, now_ms
        )
        if appeal.state == "refused":
            raise Refused("{why}", why=why, appeal=appeal.id)
        if appeal.state == "open":
            raise Refused("{why} You've appealed, and no one has decided yet.", why=why)
        raise Refused("{why} Your appeal was denied.", why=why)

    async def _note(self, actor: Actor, action: Event, text: str, rule: str) -> None:
        details = {"rule": rule, "prompt": text, "channel": actor.channel_id}
        await self._audit.record(actor.guild_id, actor.user_id, action, f"user:{actor.user_id}", details)

    # ------------------------------------------------------------ appeals
    async def appeal(self, by: Actor, appeal_id: int) -> Appeal:
        """Ask the admins to review a refusal, once. Raises: NotFound, NotYours, BadInput."""
        return await self._audit.perform(acts.open_appeal, by, by.guild_id, appeal_id)

    async def withdraw(self, appeal: Appeal) -> None:
        """Take back an appeal that couldn't be posted."""
        await self._store.write(rows.move_appeal, appeal.id, "open", "refused")

    async def decide(self, by: Actor, appeal_id: int, *, approve: bool) -> Appeal:
        """Allow one prompt for one member, or don't; return the decided appeal. Raises: NotFound, BadInput."""
        return await self._audit.perform(acts.decide, by, by.guild_id, appeal_id, approve)

    async def revoke(self, by: Actor, appeal_id: int) -> Appeal:
        """Take an approval back; return what was approved. Raises: NotFound, BadInput."""
        return await self._audit.perform(acts.revoke, by, by.guild_id, appeal_id)

    async def appeals(self, guild_id: int, state: AppealState, limit: int) -> list[Appeal]:
        """Return a server's appeals in a state, the last decided or asked first."""
        return await self._store.read(rows.appeals, guild_id, state, limit)

    # ------------------------------------------------------------ bans, rules, pauses
    async def ban(self, by: Actor, guild_id: int, user_id: int, reason: str, until_ms: int | None) -> Ban:
        """Ban a user, for good or until a time (epoch ms). Raises: NotYours, BadInput."""
        return await self._perform(acts.ban, by, guild_id, user_id, reason, until_ms, self._settings.operators)

    async def unban(self, by: Actor, guild_id: int, user_id: int) -> None:
        """Lift a ban. Raises: NotFound, NotYours."""
        await self._perform(acts.unban, by, guild_id, user_id)

    async def bans(self, guild_id: int) -> list[Ban]:
        """Return the bans in force, newest first."""
        return await self._store.read(rows.bans, guild_id, self._clock.now_ms())

    async def rules(self, guild_id: int) -> Rules:
        return await self._recent.get(("rules", guild_id), lambda: self._store.read(rows.rules, guild_id))

    async def change_rules(self, by: Actor, change: Callable[[Rules], Rules]) -> Rules:
        """Change the rules of the actor's server and return them. Raises: what `change` raises."""
        return await self._perform(acts.change_rules, by, by.guild_id, change)

    async def audit_channel(self, guild_id: int) -> int | None:
        """Where a server reads its log, if anywhere."""
        return (await self.rules(guild_id)).audit_channel

    async def pauses(self, guild_id: int) -> list[Pause]:
        """Return the pauses in force in a server, the one of everywhere first."""
        return await self._recent.get(("pauses", guild_id), lambda: self._store.read(rows.pauses, guild_id))

    async def pause(self, by: Actor, guild_id: int, mode: PauseMode | None, sentence: str) -> None:
        """Pause, drain, post a notice, or resume (None). It survives restarts. Raises: NotYours, BadInput."""
        if mode is None:
            await self._perform(acts.resume, by, guild_id)
            self._queued.set()
        else:
            await self._perform(acts.pause, by, guild_id, mode, sentence)

    async def _perform(self, act: Act[P, T], by: Actor, guild_id: int, *args: P.args, **kwargs: P.kwargs) -> T:
        """Carry out an act and clear the cache. Raises: NotYours, what the act raises."""
        _check_everywhere(by, guild_id)
        done = await self._audit.perform(act, by, guild_id, *args, **kwargs)
        self._recent.clear()
        return done


def _check_everywhere(by: Actor, guild_id: int) -> None:
    if guild_id == EVERYWHERE and not by.is_operator:
        raise NotYours("Only the people who run this bot can change this for every server.")


def _telling(tell: bool, rules: Rules) -> Rules:
    return replace(rules, tell_word=tell)


async def _aside(look: Callable[[str], T], text: str) -> T:
    """Search a text; outside the event loop if it's long, since that takes tens of milliseconds."""
    return look(text) if len(text) < LONG else await TEXTS.run(look, text)


def check_channel(actor: Actor, rules: Rules) -> None:
    """Raises: Refused."""
    if not actor.guild_id:
        if rules.allowed or rules.age_only:
            raise Refused(SOME_CHANNELS)
        return
    if rules.allowed and not rules.allowed & {actor.channel_id, actor.parent_id}:
        places = ", ".join(f"<#{channel}>" for channel in sorted(rules.allowed)[:10])
        raise Refused("Easel can't be used in this channel. Try {places}. Nothing was charged.", places=places)
    if rules.age_only and not actor.nsfw:
        raise Refused("In this server, Easel can only be used in age-restricted channels. Nothing was charged.")


def ban_sentence(ban: Ban, guild_id: int) -> str:
    """Tell a banned member so; `guild_id` is the server they read it in, 0 in direct messages."""
    where = "" if ban.guild_id == EVERYWHERE else _(" in this server") if guild_id else _(ELSEWHERE)
    until = _(" until <t:{time}:f>", time=ban.until_ms // 1000) if ban.until_ms else ""
    reason = _(" Reason: {reason}", reason=shown(ban.reason, REASON)) if ban.reason else ""
    return _("You can't use Easel{where}{until}.{reason}", where=where, until=until, reason=reason)


def pause_sentence(pause: Pause) -> str:
    """Return what an admin wrote, or a default."""
    own = _("Easel isn't taking new jobs at the moment.") if pause.mode != "notice" else ""
    return shown(pause.sentence, 500) or own


def word_sentence(word: BlockedWord, tell: bool) -> str:
    what = _("The word {word}", word=quoted(word.word)) if tell else _("A word in this prompt")
    if word.action == "age":
        rest = _("{what} can only be used in age-restricted channels. Try other words. Nothing was charged.", what=what)
    else:
        rest = _("{what} is blocked here. Try other words. Nothing was charged.", what=what)
    return rest
