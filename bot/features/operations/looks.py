"""How the parts are that only show by standing still: Discord's connection and the engine. Counted in looks.

Each is asked every `LOOK_S`; a clock would jump.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable

import discord

from bot.loops import LOOK_S
from engine.backend import CARD_STANDS_S, HOPELESS, STANDS_S, Backend

log = logging.getLogger(__name__)
SILENT_S = 180.0  # Discord answers a heartbeat every 41 s, and each answer takes another time


class Stillness:
    """For how long something has not changed, by the number of looks."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, tuple[object, int]] = {}

    def seconds(self, what: Hashable, value: object) -> float:
        """Note a value; since when it's the same."""
        before, looks = self._seen.get(what, (value, -1))
        looks = looks + 1 if value == before else 0
        self._seen[what] = value, looks
        return looks * LOOK_S

    def forget(self, what: Hashable) -> None:
        self._seen.pop(what, None)


class GatewayLook:
    """Whether Discord's connection is there and answers; one that is silent is made anew."""

    def __init__(self, client: discord.Client) -> None:
        self._client, self._still = client, Stillness()
        self._reconnecting: set[asyncio.Task[None]] = set()

    async def __call__(self) -> str:
        client = self._client
        shards = client.shards.values() if isinstance(client, discord.AutoShardedClient) else ()
        if any(shard.is_closed() for shard in shards):
            return "the connection is down; it comes back by itself."
        silent = [shard for shard in shards if self._is_silent(shard)]
        for shard in silent:
            self._still.forget(shard.id)
            self._reconnect(shard)
        return f"nothing was heard for {SILENT_S:.0f} s; it connects again." if silent else ""

    def _is_silent(self, shard: discord.ShardInfo) -> bool:
        """Whether no heartbeat was answered: how long the last one took is the same number to the last digit."""
        latency_s = shard.latency
        return latency_s > 0 and self._still.seconds(shard.id, latency_s) >= SILENT_S

    def _reconnect(self, shard: discord.ShardInfo) -> None:
        log.error("shard %d is silent; it connects again", shard.id)
        task = asyncio.create_task(shard.reconnect(), name=f"reconnect-{shard.id}")
        self._reconnecting.add(task)
        task.add_done_callback(self._reconnecting.discard)


class EngineLook:
    """Whether the engine gets on while there is something to paint.

    Attributes:
        hopeless: a sentence once it has stood still for so long that only a new process helps. A thread inside a
            library's call can't be ended, nor be left with the device while another one begins.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend, self._still = backend, Stillness()
        self.hopeless = ""

    async def __call__(self) -> str:
        status = self._backend.status()
        wanted = [worker for worker in status.workers if not worker.drained]
        if wanted and not any(worker.up for worker in wanted):
            return f"no worker is there: {wanted[0].name} {wanted[0].problem}."
        waits = status.running or (status.queued and (wanted or not status.workers))
        rounds = status.facts.get("rounds") if waits else None
        if rounds is None:
            self._still.forget("rounds")
            return ""
        stands_s, limit_s = self._still.seconds("rounds", rounds), STANDS_S.get(status.device, CARD_STANDS_S)
        if stands_s >= HOPELESS * limit_s:
            self.hopeless = f"The engine has stood still for {stands_s / 60:.0f} minutes, though jobs wait."
        return f"nothing was painted for {stands_s / 60:.0f} minutes, though jobs wait." if stands_s >= limit_s else ""


class WorkersLook:
    """Which workers have been away for two looks; the others paint what was theirs."""

    def __init__(self, backend: Backend) -> None:
        self._backend, self._away = backend, frozenset[str]()

    def __call__(self) -> str:
        """A sentence on them; "" when all are there."""
        workers = [worker for worker in self._backend.status().workers if not worker.drained]
        away = {worker.name: worker.problem for worker in workers if not worker.up}
        lasting = [f"{name} ({problem})" for name, problem in away.items() if name in self._away]
        self._away = frozenset(away)
        return f"Workers that are away: {', '.join(lasting)}. The others go on." if lasting else ""
