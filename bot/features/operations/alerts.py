"""Messages to whoever runs the bot when it needs a hand: by webhook, else as direct messages to the operators."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter
from typing import Protocol

import aiohttp
import discord

from bot.kit.components import NOBODY
from bot.store.clock import Clock
from bot.store.key_value_store import KeyValues

log = logging.getLogger(__name__)
HOUR_MS = 3_600_000
AGAIN_MS = 300_000  # after one that could not be told
SEND_S = 20.0  # what one message may take: a process that is ending waits for it
MAX_CHARS = 1900  # a message on Discord has 2000
SENT = "alert:"  # a fact for each kind: when it was told last


class Carrier(Protocol):
    """A way to whoever runs the bot."""

    async def send(self, text: str) -> None:
        """Raises: discord.DiscordException, aiohttp.ClientError, OSError."""
        ...


class DirectMessages:
    """To each of the operators, by Discord id."""

    def __init__(self, client: discord.Client, operators: tuple[int, ...]) -> None:
        self._client, self._operators = client, operators

    async def send(self, text: str) -> None:
        failures: list[Exception] = []
        for operator in self._operators:
            try:
                user = await self._client.fetch_user(operator)
                await user.send(text, allowed_mentions=NOBODY)
            except (discord.DiscordException, OSError) as error:  # the next one may have open messages
                failures.append(error)
        if failures and len(failures) == len(self._operators):
            raise failures[0]


class Webhook:
    """To an address that takes JSON as Discord's and Slack's webhooks do."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def send(self, text: str) -> None:
        said = {"content": text, "text": text, "allowed_mentions": {"parse": []}}
        async with aiohttp.ClientSession() as session, session.post(self._url, json=said) as answer:
            if answer.status >= 400:
                raise aiohttp.ClientError(f"the webhook answers {answer.status}")


class Alerts:
    """Tells each kind of thing at most once an hour, restarts or not: to the log, and to a carrier if there is one."""

    def __init__(self, carrier: Carrier | None, key_values: KeyValues, clock: Clock) -> None:
        self._carrier, self._key_values, self._clock = carrier, key_values, clock
        self._sent_ms: dict[str, int] = {}
        self._held_back: Counter[str] = Counter()

    async def tell(self, kind: str, sentence: str) -> bool:
        """Tell it, unless this kind was told within the hour; whether it was told. Raises nothing."""
        now_ms = self._clock.now_ms()
        if 0 <= now_ms - await self._last_ms(kind) < HOUR_MS:
            self._held_back[kind] += 1
            return False
        more = f" ({self._held_back[kind]} more like it were not told.)" if self._held_back[kind] else ""
        log.warning("%s: %s%s", kind, sentence, more)
        try:
            async with asyncio.timeout(SEND_S):
                if self._carrier is not None:
                    await self._carrier.send(f"Easel, {kind}: {sentence}{more}"[:MAX_CHARS])
        except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
            log.warning("an alert could not be told: %s", error)
            self._sent_ms[kind] = now_ms - HOUR_MS + AGAIN_MS
            return False
        await self._note(kind, now_ms)
        return True

    async def _last_ms(self, kind: str) -> int:
        """When this kind was told last; an hour before the epoch for never."""
        if kind not in self._sent_ms:
            try:
                self._sent_ms[kind] = int(await self._key_values.recall(f"{SENT}{kind}") or -HOUR_MS)
            except sqlite3.Error:  # that it can't be read may be what is to be told
                return -HOUR_MS
        return self._sent_ms[kind]

    async def _note(self, kind: str, now_ms: int) -> None:
        self._sent_ms[kind] = now_ms
        self._held_back[kind] = 0
        try:
            await self._key_values.remember(f"{SENT}{kind}", str(now_ms))
        except sqlite3.Error:  # a full disk, say: it holds for this process
            log.debug("when an alert was told could not be noted", exc_info=True)
