"""Keeps as many workers on a Ray cluster as there is work for. They dial in as all workers do, and are the fleet's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bot.features.workers import small_files
from bot.features.workers.cluster import serve_api
from bot.features.workers.cluster.scaling import Load, Scaling
from bot.features.workers.cluster.serve_api import ClusterError, Seen, ServeApi
from bot.features.workers.tokens import WorkerTokens
from bot.loops import Loop
from bot.threads.pools import FILES
from engine.fleet.machines.ray_address import RayAddress

log = logging.getLogger(__name__)
LOOK_S = 5.0
LEAVING_S = 5.0  # a cluster that is away holds nobody up
AGAIN_S = 30.0  # after the cluster didn't do what it was asked to
FILE = "cluster-token.json"


class Cluster:
    """Starts the workers, scales them, and leaves the fewest when it stops.

    Args:
        load: what is to be painted. alert: tells operators what goes wrong.
        protocol: of the wire; workers are started anew when it is another one.

    Attributes:
        address: of the cluster.
        seen: how Serve says that they are; None before it has.
        problem: why the cluster can't be asked, or what it refuses.
    """

    def __init__(
        self,
        address: RayAddress,
        api: ServeApi,
        load: Callable[[], Load],
        alert: Callable[[str], Awaitable[object]],
        *,
        grace_s: float,
        protocol: int,
    ) -> None:
        self.address, self._api, self._load, self._alert = address, api, load, alert
        self._grace_s, self._protocol = grace_s, protocol
        self._scaling = Scaling(address.fewest, address.most)
        self._application: dict[str, Any] = {}
        self.loop = Loop("cluster", self._turn)
        self.seen: Seen | None = None
        self.problem = ""

    def start(self, join: str, token: str) -> None:
        """Have workers that dial in to `join` with this token."""
        self._application = serve_api.application(self.address, join, token, self._grace_s, self._protocol)
        self.loop.start()

    async def stop(self) -> None:
        """Leave the fewest workers: an Easel that starts again finds them, and nobody pays for the rest."""
        await self.loop.stop()
        if self._application:
            with suppress(ClusterError, TimeoutError):
                async with asyncio.timeout(LEAVING_S):
                    await self._api.scale(self.address.name, self.address.fewest)

    def line(self) -> str:
        """How it is, in a line for people."""
        limits = f"{self.address.fewest} to {self.address.most}"
        if self.problem:
            return f"Ray: {self.problem}"
        if self.seen is None:
            return "Ray: not asked yet"
        return f"Ray, {limits}: {self.seen}"

    async def _turn(self) -> None:
        try:
            await self._look()
            self.problem = ""
        except ClusterError as error:
            if str(error) != self.problem:
                log.warning("%s", error)
            self.problem = str(error)
            await self._alert(f"Workers on Ray can't be had: {error}")
        await asyncio.sleep(AGAIN_S if self.problem else LOOK_S)

    async def _look(self) -> None:
        """See how it is, and ask for what it should be. Raises: ClusterError."""
        name = self.address.name
        answer = await self._api.applications()
        self.seen = serve_api.seen(answer, name)
        wanted = self._scaling.wanted(self._load(), time.monotonic())
        if self.seen is None or not self._is_ours(answer["applications"][name]):
            log.info("Ray is to run workers as %s", name)
            await self._api.deploy(self._application, answer)
        elif self.seen.asked != wanted and self.seen.deployed:
            log.info("workers on Ray: %d wanted, %d asked for", wanted, self.seen.asked)
            await self._api.scale(name, wanted)

    def _is_ours(self, running: dict[str, Any]) -> bool:
        config = running.get("deployed_app_config") or {}
        return bool(config.get("args", {}) == self._application["args"])


def standing_token(folder: Path, name: str) -> str:
    """The token of the cluster's workers: the same for as long as it's good, so that a new start ends none of them."""
    tokens, path = WorkerTokens(folder), folder / FILE
    known = small_files.read(path)
    token = str(known.get("token", "")) if isinstance(known, dict) else ""
    if tokens.name_of(token) != name:
        token = tokens.make(name)
        small_files.write(path, {"token": token})
    return token


async def token_for(folder: Path, name: str) -> str:
    """Raises: OSError."""
    return await FILES.run_always(standing_token, folder, name)
