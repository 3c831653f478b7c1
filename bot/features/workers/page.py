"""`/worker` of the bot's own web server: where workers on other machines dial in, over a WebSocket.

Whoever has no token gets what every unknown page gives.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from aiohttp import web

from bot.features.region.editor_server import STAY, bearer
from bot.features.workers.tokens import WorkerTokens
from bot.threads.pools import FILES
from engine.fleet.fleet import Fleet
from engine.fleet.machines.dialing import PATH
from engine.fleet.machines.hosting import host
from engine.fleet.machines.websockets import PING_S, WebSocketWire
from engine.wire.frames import MAX_FRAME
from engine.wire.links import Link

log = logging.getLogger(__name__)


class WorkerPage:
    """Lets workers in. `folder`: of the data, where their tokens are."""

    PATH = PATH

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self._fleet, self._tokens = fleet, WorkerTokens(folder)
        self._open: set[web.WebSocketResponse] = set()

    async def close(self) -> None:
        """Let every worker go; they dial in again when there is a bot."""
        await asyncio.gather(*(socket.close() for socket in self._open), return_exceptions=True)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve one worker until it is gone. Raises: HTTPNotFound without a token."""
        name = await FILES.run(self._tokens.name_of, bearer(request))
        if name is None:
            raise web.HTTPNotFound
        socket = web.WebSocketResponse(heartbeat=PING_S, max_msg_size=MAX_FRAME, compress=False)
        await socket.prepare(request)
        request[STAY]()
        log.info("the worker %s dials in", name)
        self._open.add(socket)
        try:
            why = await host(self._fleet, name, Link(WebSocketWire(socket), "png"))
        finally:
            self._open.discard(socket)
        log.info("the worker %s has left: %s", name, why)
        return socket
