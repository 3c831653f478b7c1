"""The demo's browser page: simcord's preview, made live. The only place that touches simcord's private parts.

simcord publishes a page after an action on it; a bot that edits its messages by itself needs three things more: a
refresh when something changed, a clock that runs, and actions that do not become stale while a job edits its message.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self

import discord
import simcord
from simcord.backend.cdn import CDN_BASE
from simcord.backend.models import User
from simcord.builders import UserHandle
from simcord.preview import _action_plans, _snapshot

from bot.store.clock import SystemClock

log = logging.getLogger(__name__)
REFRESH_S = 0.4
TICK_S = 1.0
SETTLE_S = 30.0  # what an action may take; a busy machine needs more than simcord's 5
WINDOW = 12  # messages shown; 50 large pictures make the page slow
KEPT_RECORDS = 200  # of simcord's transcripts, which would grow for ever


@asynccontextmanager
async def simulated(client: discord.Client) -> AsyncIterator[simcord.Env]:
    """Run a client in a simulated Discord whose clock begins now. Raises at the end what the client did not handle.

    Like `simcord.run`, but may be left in another context than it was entered in, as fixtures of pytest-asyncio are.
    """
    env = simcord.Env(client, settle_timeout=SETTLE_S)
    await env.start()
    scope = env.time_context()
    scope.__enter__()
    try:
        set_clock(env, SystemClock().now_ms() / 1000)
        yield env
        env.raise_errors()
    finally:
        await env.shutdown()
        with suppress(ValueError):  # the context it was set in is gone, and its values with it
            scope.__exit__(None, None, None)


def person(env: simcord.Env, user_id: int, name: str) -> UserHandle:
    """A user with an id that is the same in every run, so that credits and pictures stay theirs."""
    env.backend.reserve_id(user_id)
    user = User(id=user_id, name=name.lower(), global_name=name)
    env.backend.users[user_id] = user
    return UserHandle(env, user)


def set_clock(env: simcord.Env, now_s: float) -> None:
    """Move the simulated Discord, which is born on a fixed day, to `now_s` (UTC epoch).

    Its ids grow with its time: without this, the ids of one run would come again in the next.
    """
    env.backend.advance_clock(now_s - env.now().timestamp())


def dress_bot(env: simcord.Env, name: str, avatar: bytes) -> dict[str, tuple[str, bytes]]:
    """Give the bot a name and a face; returns the assets for the page."""
    env.backend.edit_bot_profile(name)
    user = env.backend.bot_user
    user.avatar = "easel"
    return {f"{CDN_BASE}/avatars/{user.id}/easel.png": ("easel.png", avatar)}


class LivePage:
    """A page on 127.0.0.1 that follows the simulated Discord. `url` holds a secret: who has it can type."""

    def __init__(
        self,
        env: simcord.Env,
        channel: simcord.ChannelHandle,
        viewers: Sequence[simcord.MemberActor],
        *,
        port: int,
        assets: Mapping[str, tuple[str, bytes]],
    ) -> None:
        for module in (_snapshot, _action_plans):
            setattr(module, "HISTORY_WINDOW_SIZE", WINDOW)  # noqa: B010  (imported there, so not theirs to mypy)
        self._env, self._channel = env, channel
        self._preview = env.preview(channel, viewers=viewers, layout="channel", port=port, assets=assets)
        self._gate = asyncio.Lock()  # simcord refuses a second operation while one runs
        self._changed = asyncio.Event()
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        return self._preview.url

    async def wait_closed(self) -> None:
        await self._preview.wait_closed()

    async def __aenter__(self) -> Self:
        self._guard_actions()
        await self._stack.enter_async_context(self._preview)
        self._env.backend.subscribers.append(self._on_event)
        self._stack.callback(self._env.backend.subscribers.remove, self._on_event)
        for work in (self._refresh(), self._tick()):
            self._stack.push_async_callback(_end, asyncio.create_task(work))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _guard_actions(self) -> None:
        """Let actions wait for a running refresh, and take the page's newest revision for theirs."""
        act = self._preview._action

        async def guarded(context_id: str | None, body: Any) -> dict[str, Any]:
            async with self._gate:
                if isinstance(body, dict) and isinstance(body.get("published_revision"), int):
                    body = {**body, "published_revision": self._preview._get_page(context_id).revision}
                return await act(context_id, body)

        self._preview._action = guarded  # type: ignore[method-assign]

    def _on_event(self, event: str, payload: Mapping[str, Any]) -> None:
        self._changed.set()

    async def _refresh(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            async with self._gate:
                await self._attempt(self._preview.refresh())
            await asyncio.sleep(REFRESH_S)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            async with self._gate:
                await self._attempt(self._env.advance_time(TICK_S))
                self._trim()

    async def _attempt(self, operation: Any) -> None:
        try:
            await operation
        except (simcord.SetupError, TimeoutError) as error:
            log.debug("the page was busy: %s", error)
            self._changed.set()

    def _trim(self) -> None:
        """Drop records and pictures that nothing shows any more."""
        backend = self._env.backend
        for record in (backend.transcript, backend.http_requests):
            del record[:-KEPT_RECORDS]
        shown = {
            attachment["url"]
            for messages in backend.messages.values()
            for message in messages.values()
            for attachment in message.attachments
        }
        for url in [url for url in backend.cdn._blobs if "/attachments/" in url and url not in shown]:
            del backend.cdn._blobs[url]


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
