"""The simulated Discord: simcord for tests, and simcord that runs live. The only place that touches its private parts.

simcord is made for tests: its clock stands still, and after each action it waits until the bot has nothing left to do.
Live, time runs by itself, people act whenever they like, and whoever watches is told of every change.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
import simcord
from simcord._clock import Clock
from simcord._settlement import _active_callbacks, _run_due_virtual_callbacks
from simcord.actors import _autocomplete_result
from simcord.backend.access import channel_accessible, message_accessible
from simcord.backend.cdn import CDN_BASE
from simcord.backend.models import Channel, Interaction, Message, User
from simcord.enums import AppCommandType, ChannelType

from bot.store.clock import SystemClock

Actor = simcord.MemberActor | simcord.UserHandle  # somebody in a server, or in their direct messages
SETTLE_S = 30.0  # what an action may take in a test; a busy machine needs more than simcord's 5
ANSWER_S = (
    60  # how long the bot may take to acknowledge live: one machine also paints, and Discord's 3 s are short then
)
POLL_S = 0.01
TURN_S = 1.0
KEPT_RECORDS = 200  # of simcord's transcripts, which would grow for ever
UNSEEN_S = 120.0  # how long a file that no message shows stays: a page may be loading it, or the bot reading it


class NoAnswer(Exception):
    """The bot did not acknowledge an interaction."""


# ---------------------------------------------------------------- time and change
class WallClock(Clock):
    """simcord's clock, following the machine's; never back, though people set clocks."""

    def __init__(self, begun: Clock) -> None:
        self._epoch = begun.now() - timedelta(seconds=begun.elapsed)
        self._least = begun.elapsed

    @property
    def elapsed(self) -> float:  # type: ignore[override]
        """Seconds since simcord's first day; its timers count in them."""
        self._least = max(self._least, SystemClock().now_ms() / 1000 - self._epoch.timestamp())
        return self._least

    def advance(self, seconds: float) -> None:
        self._least = self.elapsed + seconds


class Recent(list[Any]):
    """One of simcord's transcripts: tells when something is noted, and keeps the newest only."""

    def __init__(self, tell: Callable[[], None]) -> None:
        super().__init__()
        self._tell = tell

    def append(self, record: Any, /) -> None:
        super().append(record)
        if len(self) > 2 * KEPT_RECORDS:
            del self[:KEPT_RECORDS]
        self._tell()


# ---------------------------------------------------------------- the simulated Discord
class SimulatedDiscord(simcord.Env):
    """simcord's environment. Once `live`, nothing waits for the bot to settle and actions overlap, as on Discord."""

    def __init__(self, client: discord.Client) -> None:
        super().__init__(client, settle_timeout=SETTLE_S)
        self.live = False
        self._watchers: list[Callable[[], None]] = []
        self._unseen: dict[str, float] = {}
        self.locales: dict[int, str] = {}  # what people's own Discord is set to

    def set_clock(self, now_s: float) -> None:
        """Move the simulated Discord, which is born on a fixed day, to `now_s` (UTC epoch).

        Its ids grow with its time: without this, the ids of one run would come again in the next.
        """
        self.backend.advance_clock(now_s - self.now().timestamp())

    def speak_their_languages(self) -> None:
        """Let interactions tell the bot each person's locale, as Discord's do."""
        self.backend.subscribers.insert(0, self._localise)

    def _localise(self, event: str, data: Any, *_more: Any) -> None:
        if event == "INTERACTION_CREATE":
            person = data.get("user") or data["member"]["user"]
            data["locale"] = self.locales.get(int(person["id"]), data.get("locale"))

    # ------------------------------------------------------------ running live
    def go_live(self) -> None:
        """Let time run, and tell watchers of changes."""
        self.live = True
        self.backend.clock = WallClock(self.backend.clock)
        self.backend.transcript = Recent(self._tell)
        self.backend.http_requests = Recent(lambda: None)
        self._register_dispatch_observer(self._be_patient)

    def watch(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` just before each change; the change is there in the loop's next turn. Returns how to stop."""
        self._watchers.append(told)
        return lambda: self._watchers.remove(told)

    async def run(self) -> None:
        """Keep simcord's own timers and memory in order, for ever."""
        while True:
            await asyncio.sleep(TURN_S)
            await self._settle_internal()
            self._forget_files()

    async def answered(self, result: simcord.InteractionResult) -> None:
        """Return once the bot has acknowledged. Raises: NoAnswer."""
        try:
            async with asyncio.timeout(ANSWER_S):
                while not result.acknowledged:  # noqa: ASYNC110  (simcord has nothing to wait for)
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise NoAnswer from None

    async def completions(
        self, actor: Actor, channel: simcord.ChannelHandle, name: str, option: str, typed: str, filled: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """What the bot offers while `option` is typed. Raises: NoAnswer."""
        result = await _autocomplete_result(actor, channel, name, option, typed, filled)
        await self.answered(result)
        return result.autocomplete_choices or []

    def _tell(self) -> None:
        for told in tuple(self._watchers):
            told()

    def _be_patient(self, interaction: Interaction) -> None:
        interaction.initial_response_deadline = self.backend.iso_after(ANSWER_S)

    async def _settle_internal(self, **options: Any) -> None:
        if not self.live:
            await super()._settle_internal(**options)
            return
        state = self._settlement_state()
        _active_callbacks(state)
        _run_due_virtual_callbacks(state, math.inf)

    def _begin_operation(self, label: str) -> None:
        if not self.live:
            super()._begin_operation(label)

    def _end_operation(self) -> None:
        if not self.live:
            super()._end_operation()

    def _forget_files(self) -> None:
        """Drop the files that no message has shown for a while: previews, mostly."""
        shown = {
            attachment["url"]
            for messages in self.backend.messages.values()
            for message in messages.values()
            for attachment in message.attachments
        }
        now, blobs = time.monotonic(), self.backend.cdn._blobs
        self._unseen = {url: self._unseen.get(url, now) for url in blobs if url not in shown}
        for url, since in self._unseen.items():
            if now - since > UNSEEN_S:
                del blobs[url]

    # ------------------------------------------------------------ what there is
    def channels_of(self, user_id: int) -> list[Channel]:
        """The text channels that somebody can read, then their direct messages."""
        backend = self.backend
        kinds = (ChannelType.TEXT, ChannelType.DM)
        found = [
            channel
            for channel in backend.channels.values()
            if channel.type in kinds and channel_accessible(backend, channel.id, user_id, history=True)
        ]
        return sorted(found, key=lambda channel: (channel.guild_id is None, channel.position, channel.id))

    def channel(self, channel_id: int) -> Channel:
        """Raises: simcord.BackendError."""
        return self.backend.get_channel(channel_id)

    def messages_for(self, user_id: int, channel_id: int) -> list[Message]:
        """What somebody sees in a channel, oldest first."""
        messages = self.backend.messages.get(channel_id, {}).values()
        seen = (each for each in messages if message_accessible(self.backend, channel_id, each, user_id, history=True))
        return sorted(seen, key=lambda each: each.id)

    def commands_for(self, user_id: int, channel_id: int, kind: AppCommandType) -> list[dict[str, Any]]:
        """The commands that somebody may use in a channel, as the bot published them."""
        return self.backend.visible_commands(user_id=user_id, channel_id=channel_id, type=kind)

    def file(self, path: str) -> bytes | None:
        """A file that was posted, by `path_of` its address."""
        return self.backend.cdn.get(f"{CDN_BASE}/{path}")

    def member(self, guild: simcord.GuildHandle, user_id: int) -> simcord.MemberActor:
        """Anybody of a server. Raises: KeyError."""
        return simcord.MemberActor(self, guild, simcord.UserHandle(self, self.backend.users[user_id]))

    async def post(
        self,
        member: simcord.MemberActor,
        channel: simcord.ChannelHandle,
        text: str,
        files: Sequence[tuple[str, bytes]],
        answered: int = 0,
    ) -> discord.Message:
        """Say something as somebody, in answer to a message if it has an id.

        Raises: simcord.SetupError, simcord.BackendError.
        """
        original: Any = self.message(channel.id, answered) if answered else None
        if self.channel(channel.id).guild_id is not None:
            return await member.send(channel, text, attachments=files, reply_to=original)
        more: dict[str, Any] = {"attachments": self.backend.store_attachments(channel.id, files)}
        if original:
            named = {"message_id": str(answered)}
            more["reference"] = self.backend.normalize_message_reference(channel.id, named)
        return await member.user.send_dm(text, **more)

    @property
    def bot_id(self) -> int:
        return self.backend.bot_user.id

    def new_id(self) -> int:
        """A snowflake of now, as nothing else has."""
        return self.backend.snowflake()

    def message(self, channel_id: int, message_id: int) -> simcord.ResponseMessage:
        """Something to press buttons of. Raises: simcord.BackendError when it's gone."""
        return simcord.ResponseMessage(self, self.backend.get_message(channel_id, message_id))

    def person(self, user_id: int, name: str) -> simcord.UserHandle:
        """A user with an id that is the same in every run, so that credits and pictures stay theirs."""
        self.backend.reserve_id(user_id)
        user = User(id=user_id, name=name.lower(), global_name=name)
        self.backend.users[user_id] = user
        return simcord.UserHandle(self, user)

    def name_bot(self, name: str) -> None:
        self.backend.edit_bot_profile(name)

    def text_channel(
        self, guild: simcord.GuildHandle, channel_id: int, name: str, topic: str = ""
    ) -> simcord.ChannelHandle:
        """A channel with an id of one's own choice."""
        self.backend.reserve_id(channel_id)
        self.backend.snowflake = lambda: channel_id  # type: ignore[method-assign]
        try:
            return guild.create_text_channel(name, topic=topic)
        finally:
            del self.backend.snowflake

    def post_as_of(self, message_id: int, channel_id: int, at_ms: int) -> None:
        """Let a message be of an earlier time (UTC epoch ms) than it was posted."""
        message = self.backend.get_message(channel_id, message_id)
        message.timestamp = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
        message.edited_timestamp = None
        self._tell()


@asynccontextmanager
async def simulated(client: discord.Client, *, live: bool = False) -> AsyncIterator[SimulatedDiscord]:
    """Run a client in a simulated Discord whose clock begins now. Raises at the end what the client did not handle.

    Like `simcord.run`, but may be left in another context than it was entered in, as fixtures of pytest-asyncio are.
    """
    env = SimulatedDiscord(client)
    await env.start()
    env.speak_their_languages()
    scope = env.time_context()
    scope.__enter__()
    try:
        env.set_clock(SystemClock().now_ms() / 1000)
        if live:
            env.go_live()
        yield env
        env.raise_errors()
    finally:
        await env.shutdown()
        with suppress(ValueError):  # the context it was set in is gone, and its values with it
            scope.__exit__(None, None, None)
