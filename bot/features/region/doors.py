"""The way into a web server: so many connections in all and from one address, and none that only takes up room.

A connection that asks nothing is let go when its time is up, or as soon as somebody else needs its place: whoever
opens thousands and says nothing keeps nobody out. Knows nothing of what is served.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from bot.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """Connections in all and from one address; seconds for a request's head, and for all of its answer."""

    most: int = 256
    from_one: int = 64  # a browser opens six; many may come through one proxy
    head_s: float = 10.0
    answer_s: float = 120.0


class NoDoor(UserError):
    """The server can't listen where it's to. `passing`: it may a moment later, as when another process has the port."""

    def __init__(self, host: str, port: int, error: OSError | UnicodeError) -> None:
        if isinstance(error, socket.gaierror):  # a host of digits and dots alone is no name that one could look up
            self.passing = error.errno == socket.EAI_AGAIN and any(char.isalpha() for char in host)
        else:
            self.passing = getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EADDRNOTAVAIL)
        super().__init__(
            "The web server can't listen on {host}:{port} ({why}). Set EASEL_WEB_HOST and EASEL_WEB_PORT to an address "
            "of this machine and a free port, or turn off what needs it: EASEL_WEB_ADDRESS, EASEL_API, EASEL_WORKERS, "
            "EASEL_ENGINE and EASEL_METRICS_TOKEN.",
            host=host,
            port=port,
            why=getattr(error, "strerror", None) or error,
        )


class Doors:
    """Makes the protocols of a server: hand it to `loop.create_server`. `inner` makes what serves a connection."""

    def __init__(self, inner: Callable[[], asyncio.Protocol], limits: DoorLimits | None = None) -> None:
        self._inner, self.limits = inner, limits or DoorLimits()
        self._doors: dict[asyncio.BaseTransport, Door] = {}  # in the order in which they began to wait
        self._from: Counter[str] = Counter()

    def __call__(self) -> asyncio.Protocol:
        return Door(self, self._inner())

    @property
    def open(self) -> int:
        """Connections that are there."""
        return len(self._doors)

    def begin(self, transport: asyncio.BaseTransport | None) -> None:
        """A request's head has arrived."""
        if transport is not None and (door := self._doors.get(transport)):
            door.wait(self.limits.answer_s, serving=True)

    def end(self, transport: asyncio.BaseTransport | None) -> None:
        """A request is answered; the next may come."""
        if transport is not None and (door := self._doors.pop(transport, None)):
            self._doors[transport] = door
            door.wait(self.limits.head_s, serving=False)

    def stay(self, transport: asyncio.BaseTransport | None) -> None:
        """A connection is served for as long as it's there."""
        if transport is not None and (door := self._doors.get(transport)):
            door.stay()

    def let_in(self, door: Door, transport: asyncio.Transport) -> bool:
        """Whether there is room, if need be in the place of one that only waits."""
        address = door.address
        if self._from[address] >= self.limits.from_one and not self._make_room(address):
            return False
        if len(self._doors) >= self.limits.most and not self._make_room(None):
            return False
        self._doors[transport] = door
        self._from[address] += 1
        door.wait(self.limits.head_s, serving=False)
        return True

    def let_out(self, door: Door, transport: asyncio.BaseTransport) -> None:
        """A connection is gone."""
        if self._doors.pop(transport, None) is not None:
            self._from[door.address] -= 1
            if not self._from[door.address]:
                del self._from[door.address]

    def _make_room(self, address: str | None) -> bool:
        """Close what waits longest, from an address or from any."""
        for transport, door in self._doors.items():
            if not door.serving and address in (None, door.address):
                door.close()
                self.let_out(door, transport)
                return True
        return False


class Door(asyncio.Protocol):
    """One connection: passes on what comes to the protocol that serves it."""

    def __init__(self, doors: Doors, inner: asyncio.Protocol) -> None:
        self._doors, self._inner = doors, inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._inside = False
        self.address, self.serving = "", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.address = str((transport.get_extra_info("peername") or ("",))[0])
        if self._doors.let_in(self, self._transport):
            self._inside = True
            self._inner.connection_made(transport)
        else:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._doors.let_out(self, self._transport)
        if self._inside:
            self._inside = False
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._inside:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._inside else None

    def pause_writing(self) -> None:
        if self._inside:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inside:
            self._inner.resume_writing()

    def wait(self, seconds: float, *, serving: bool) -> None:
        """Close the connection if nothing else happens for so long."""
        self.serving = serving
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.close)

    def stay(self) -> None:
        """Wait for nothing: whoever serves it ends it."""
        self.serving = True
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
