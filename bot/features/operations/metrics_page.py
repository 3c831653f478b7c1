"""`/metrics` of the bot's own web server: what was counted, and how things stand at this moment.

Whoever does not know the token gets what every unknown page gives.
"""

from __future__ import annotations

import hmac
import math
import sqlite3

import discord
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from bot.errors import Busy
from bot.features.operations.metrics import Metrics
from bot.jobs.dispatcher import Dispatcher
from bot.jobs.files import ImageFiles
from bot.store.store import Store
from bot.threads.pools import POOLS
from engine.backend import Backend

PATH = "/metrics"
LANES = ("fast", "relax")


class MetricsPage:
    """Answers Prometheus."""

    def __init__(
        self,
        token: str,
        metrics: Metrics,
        *,
        client: discord.AutoShardedClient,
        store: Store,
        files: ImageFiles,
        dispatcher: Dispatcher,
        backend: Backend,
    ) -> None:
        self._token, self._metrics = token, metrics
        self._client, self._store, self._files = client, store, files
        self._dispatcher, self._backend = dispatcher, backend

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The page. Raises: HTTPNotFound without the token."""
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")  # bytes that may be no text
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            raise web.HTTPNotFound
        await self._look()
        return web.Response(body=self._metrics.page(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _look(self) -> None:
        """Read how things stand; what can't be read keeps its last value."""
        metrics, status = self._metrics, self._backend.status()
        metrics.running.set(len(self._dispatcher.running))
        metrics.models.set(len(status.loaded))
        metrics.device_bytes.set(int(status.facts.get("memory_bytes", 0)))
        metrics.up.set("lost" not in status.facts)
        metrics.show_workers(status.workers)
        metrics.servers.set(len(self._client.guilds))
        shards = self._client.shards.values()
        metrics.connected.set(bool(shards) and not any(shard.is_closed() for shard in shards))
        metrics.latency_s.set(self._client.latency if math.isfinite(self._client.latency) else math.nan)
        for pool in POOLS:
            metrics.pool_waiting.labels(pool.name).set(pool.waiting)
            metrics.pool_busy.labels(pool.name).set(pool.busy)
        try:
            metrics.disk_bytes.set((await self._files.free_mib()) << 20)
            waiting, owed = await self._store.read(_counts)
        except (OSError, Busy, sqlite3.Error):
            return
        metrics.owed.set(owed)
        for lane in LANES:
            metrics.waiting.labels(lane).set(waiting.get(lane, 0))


def _counts(db: sqlite3.Connection) -> tuple[dict[str, int], int]:
    """Waiting jobs by lane, and how many deliveries are owed."""
    rows = db.execute("SELECT lane, count(*) AS n FROM job WHERE state = 'queued' GROUP BY lane").fetchall()
    owed = db.execute("SELECT count(*) AS n FROM delivery WHERE delivered_at IS NULL AND dead = 0").fetchone()
    return {str(row["lane"]): int(row["n"]) for row in rows}, int(owed["n"])
