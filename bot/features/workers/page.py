"""`/worker` of the bot's own web server: where workers on other machines dial in, over a WebSocket.

Whoever has no token gets what every unknown page gives.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
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
from engine.wire.links import Gone, Link
from engine.wire.messages import Refused

log = logging.getLogger(__name__)
REVOKED = "the bot knows the token of this worker no more. Make a new one there with: easel worker token NAME"
FAREWELL_S = 2.0


class WorkerPage:
    """Lets workers in. `folder`: of the data, where their tokens are."""

    PATH = PATH

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self._fleet, self._tokens = fleet, WorkerTokens(folder)
        self._open: dict[web.WebSocketResponse, tuple[str, Link]] = {}  # with the token of each

    async def close(self) -> None:
        """Let every worker go; they dial in again when there is a bot."""
        await asyncio.gather(*(socket.close() for socket in self._open), return_exceptions=True)

    async def look(self) -> None:
        """Let those go whose token is good no more, and forget what came with it."""
        here = {token for token, _ in self._open.values()}
        try:
            good, names = await FILES.run_always(self._tokens.good, here)
        except OSError as error:  # nobody knows then
            log.warning("the workers' tokens can't be read: %s", error)
            return
        revoked = [(socket, link) for socket, (token, link) in self._open.items() if token not in good]
        await asyncio.gather(*(_put_out(socket, link) for socket, link in revoked), return_exceptions=True)
        self._fleet.keep(names)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve one worker until it is gone. Raises: HTTPNotFound without a token."""
        token = bearer(request)
        name = await FILES.run(self._tokens.name_of, token)
        if name is None:
            raise web.HTTPNotFound
        socket = web.WebSocketResponse(heartbeat=PING_S, max_msg_size=MAX_FRAME, compress=False)
        await socket.prepare(request)
        request[STAY]()
        log.info("the worker %s dials in", name)
        link = Link(WebSocketWire(socket), "png")
        self._open[socket] = token, link
        try:
            why = await host(self._fleet, name, link)
        finally:
            del self._open[socket]
        log.info("the worker %s has left: %s", name, why)
        return socket


async def _put_out(socket: web.WebSocketResponse, link: Link) -> None:
    """Tell a worker that it's wanted no more, and hang up."""
    with suppress(Gone, TimeoutError):
        async with asyncio.timeout(FAREWELL_S):
            await link.send(Refused(text=REVOKED))
            await socket.close()
