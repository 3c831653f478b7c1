"""Frames over a WebSocket, which passes through proxies and out of homes. Knows no message."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import ClientError, ClientWebSocketResponse, WSMsgType, web

from engine.wire.frames import Buffer, Malformed
from engine.wire.links import Gone

PING_S = 20.0  # keeps the way through routers open, and notices when it's closed


class WebSocketWire:
    """A `Wire` over either end of a WebSocket."""

    def __init__(self, socket: web.WebSocketResponse | ClientWebSocketResponse) -> None:
        self._socket = socket
        self._closed = False

    async def send(self, parts: Sequence[Buffer]) -> None:
        if self._closed:
            raise Gone
        try:
            await self._socket.send_bytes(b"".join(parts))
        except (ClientError, ConnectionError, RuntimeError) as error:  # aiohttp's word for a socket that is closing
            raise Gone from error

    async def receive(self) -> Buffer:
        if self._closed:
            raise Gone
        try:
            message = await self._socket.receive()
        except (ClientError, ConnectionError, RuntimeError) as error:
            raise Gone from error
        if message.type is WSMsgType.BINARY:
            data: bytes = message.data
            return data
        if message.type is WSMsgType.TEXT:
            raise Malformed("it isn't binary")
        self._closed = True
        raise Gone

    def close(self) -> None:
        """Nothing comes or goes any more; whoever opened the socket closes it."""
        self._closed = True
