"""A worker that dials in to a bot and stays: one outbound connection, made again whenever it's lost. Knows no torch."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from engine.api.errors import InvalidSetup
from engine.backend import Backend
from engine.fleet.machines.websockets import PING_S, WebSocketWire
from engine.fleet.serving import Serving
from engine.wire.frames import MAX_FRAME
from engine.wire.links import Link

log = logging.getLogger(__name__)
PATH = "/worker"
FIRST_S, MOST_S = 1.0, 60.0  # pauses between two tries to dial in
STEADY_S = 60.0  # a connection that held so long is made again at once
REFUSED = (
    "the bot doesn't know this token, or lets no workers in. Where it runs: set EASEL_WORKERS=true, and make a token "
    "with: easel worker token NAME"
)
NO_DOOR = (401, 404)

UNTRUSTED = (
    "the bot's certificate can't be trusted ({}). Where it's one of your own, name the file of whoever signed it in "
    "SSL_CERT_FILE"
)


def address_of(join: str) -> str:
    """The whole address of a bot to join. Raises: InvalidSetup."""
    parts = urlsplit(join if "://" in join else f"wss://{join}")
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
        raise InvalidSetup(reason=f"'{join}' is no address to join; write it like wss://easel.example.org")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix(PATH)}{PATH}"


async def join(
    address: str, token: str, backend: Backend, leaving: asyncio.Event | None = None, grace_s: float = 0.0
) -> None:
    """Serve the bot at an address for as long as this runs. Raises: InvalidSetup when it wants this worker no more.

    Once `leaving` is set it takes no more jobs, has `grace_s` for those that it has begun, and returns.
    """
    leaving = leaving or asyncio.Event()
    pause_s, loop, joined = FIRST_S, asyncio.get_running_loop(), False
    async with aiohttp.ClientSession() as session:
        while not leaving.is_set():
            began = loop.time()
            try:
                last_word = await _serve_once(session, address, token, _Stay(backend, leaving, grace_s))
                joined = True
            except aiohttp.ClientConnectorCertificateError as error:
                told = UNTRUSTED.format(_why(error.certificate_error))
                if not joined:  # nobody knows whether that was ever right
                    raise InvalidSetup(reason=told) from error
                last_word = ""
                log.error("%s", told)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                if getattr(error, "status", 0) in NO_DOOR and not joined:  # later it's a proxy's word for a bot away
                    raise InvalidSetup(reason=REFUSED) from error
                last_word = ""
                log.warning("the bot can't be reached (%s)", error or type(error).__name__)
            if last_word:
                raise InvalidSetup(reason=last_word)
            pause_s = FIRST_S if loop.time() - began > STEADY_S else min(2 * pause_s, MOST_S)
            if not leaving.is_set():
                log.info("dialling in again in %.0f s", pause_s)
                with suppress(TimeoutError):  # a hundred workers don't come all at once
                    await asyncio.wait_for(leaving.wait(), pause_s * random.uniform(0.5, 1.0))


def _why(error: Exception) -> str:
    return str(error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error).rstrip(".")


@dataclass(frozen=True, slots=True)
class _Stay:
    """What is done over one connection."""

    backend: Backend
    leaving: asyncio.Event
    grace_s: float

    async def over(self, link: Link) -> str:
        """Serve until the bot is gone, or until it's time to leave. Returns the bot's last word, if any."""
        serving = Serving(self.backend, link)
        running, leaving = asyncio.create_task(serving.run()), asyncio.create_task(self.leaving.wait())
        try:
            await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await serving.leave(self.grace_s)
                return ""
            return running.result()
        finally:
            for task in (running, leaving):
                task.cancel()
            await asyncio.gather(running, leaving, return_exceptions=True)


async def _serve_once(session: aiohttp.ClientSession, address: str, token: str, stay: _Stay) -> str:
    """One connection from its start to its end; why the bot wants none, if it says so. Raises: ClientError, OSError."""
    headers = {"Authorization": f"Bearer {token}"}
    async with session.ws_connect(address, headers=headers, heartbeat=PING_S, max_msg_size=MAX_FRAME) as socket:
        log.info("joined %s", address)
        return await stay.over(Link(WebSocketWire(socket), "png"))
