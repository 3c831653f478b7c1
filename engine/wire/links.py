"""Messages over a connection: a socket between processes of one machine; what else carries frames is a `Wire` too.

Nothing here blocks the event loop: pictures that take time to encode or to read are left to a thread.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, cast

from engine.wire.frames import MAX_FRAME, Buffer, Malformed
from engine.wire.messages import Message, SentPicture, Told, packed, unpacked
from engine.wire.pictures import Form

LENGTH = struct.Struct(">I")
FIRST_BYTES = 4 << 20  # of a frame, before any of it has come; more is taken as it comes
LARGE = 64 << 10  # bytes of a frame whose pictures a thread reads, and that gets memory of its own
AT_ONCE = 16 << 20  # bytes of raw pixels that are copied sooner than a thread is woken
PIPE_BYTES = 4 << 20  # in the system's hands: a picture goes there at once, without a copy that waits here
FULL = 16 << 20  # bytes that may wait to be sent before a sender waits too


class Gone(Exception):
    """The connection is over."""


class Wire(Protocol):
    """What carries frames, each whole and in order."""

    async def send(self, parts: Sequence[Buffer]) -> None:
        """Returns once there is room for more. Raises: Gone."""
        ...

    async def receive(self) -> Buffer:
        """The next frame. Raises: Gone, Malformed."""
        ...

    def close(self) -> None:
        """End it at once. Idempotent."""
        ...


class Link:
    """Messages over a wire. `form`: how pictures are sent where every bit counts."""

    def __init__(self, wire: Wire, form: Form) -> None:
        self._wire, self._form = wire, form
        self._threads = ThreadPoolExecutor(1, "wire")

    async def send(self, message: Message) -> None:
        """Raises: Gone."""
        slow = self._form != "raw" and isinstance(message, SentPicture | Told)
        if slow:
            loop = asyncio.get_running_loop()
            parts = await loop.run_in_executor(self._threads, packed, message, self._form)
        else:
            parts = packed(message, self._form)
        await self._wire.send(parts)

    async def receive(self) -> Message:
        """Raises: Gone, Malformed."""
        frame = await self._wire.receive()
        if memoryview(frame).nbytes < (AT_ONCE if self._form == "raw" else LARGE):
            return unpacked(frame)
        return await asyncio.get_running_loop().run_in_executor(self._threads, unpacked, frame)

    def close(self) -> None:
        self._wire.close()
        self._threads.shutdown(wait=False)


class SocketWire(asyncio.BufferedProtocol):
    """Frames over a stream socket, each behind its length.

    Small ones are read together, as many as have come; a large one is read where it will lie.
    """

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._transport: asyncio.Transport | None = None
        self._arrived: asyncio.Queue[Buffer | Exception] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = False
        self._small, self._have = bytearray(LARGE), 0
        self._frame: bytearray | None = None  # a large one that is coming
        self._wanted = self._got = 0

    @classmethod
    async def over(cls, sock: socket.socket) -> SocketWire:
        """The wire over a connected stream socket, which is its own from now on."""
        loop = asyncio.get_running_loop()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIPE_BYTES)  # the system gives as much as it may
        _, wire = await loop.create_connection(cls, sock=sock)
        return wire

    # ------------------------------------------------------------ out
    async def send(self, parts: Sequence[Buffer]) -> None:
        if self._closed or self._transport is None:
            raise Gone
        length = sum(memoryview(part).nbytes for part in parts)
        whole = length < LARGE  # one call of the system for all parts
        for part in (b"".join((LENGTH.pack(length), *parts)),) if whole else (LENGTH.pack(length), *parts):
            self._transport.write(part)
        await self._writable.wait()

    def close(self) -> None:
        if not self._closed and self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------ in
    async def receive(self) -> Buffer:
        found = await self._arrived.get()
        if isinstance(found, Exception):
            self._arrived.put_nowait(found)  # for whoever asks again
            raise found
        return found

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._frame is None:
            return memoryview(self._small)[self._have :]
        if self._got == len(self._frame):  # it has brought so much: believe it as much again
            self._frame.extend(bytes(min(len(self._frame), self._wanted - self._got)))
        return memoryview(self._frame)[self._got :]

    def buffer_updated(self, nbytes: int) -> None:
        if self._frame is None:
            self._have += nbytes
            self._split()
            return
        self._got += nbytes
        if self._got == self._wanted:
            self._arrived.put_nowait(self._frame)
            self._frame = None

    def _split(self) -> None:
        """Hand on what has come whole, and make room for the rest."""
        at = 0
        while self._have - at >= LENGTH.size:
            (size,) = LENGTH.unpack_from(self._small, at)
            if not LENGTH.size <= size <= self._limit:
                self._arrived.put_nowait(Malformed("a frame is larger than it may be"))
                self.close()
                return
            begin, end = at + LENGTH.size, at + LENGTH.size + size
            if end - at > LARGE:
                self._begin(size, self._small[begin : self._have])
                at = self._have
            elif end > self._have:
                break
            else:
                self._arrived.put_nowait(self._small[begin:end])
                at = end
        self._small[: self._have - at] = self._small[at : self._have]
        self._have -= at

    def _begin(self, size: int, first: bytearray) -> None:
        """A large frame of which the first bytes have come."""
        self._frame, self._wanted, self._got = bytearray(min(size, FIRST_BYTES)), size, len(first)
        self._frame[: len(first)] = first

    # ------------------------------------------------------------ the transport's calls
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._writable.set()
        self._arrived.put_nowait(Gone())

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()
