"""The bodies of requests: so many bytes and seconds, so many at a time of each person. Knows nothing of their meaning.

Whatever is wrong with a body is its sender's fault, and told as one of aiohttp's HTTP errors.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from aiohttp import hdrs, web

BODY_S = 60.0  # for a form of some pictures
AT_ONCE = 2  # of one person; each may lie there twice, as it came and in parts
MOST_FIELDS, MOST_HEAD = 32, 8192  # of a form; bytes of one field's head
BOUNDARY = re.compile(r'(?i)multipart/form-data\s*;.*?\bboundary=(?:"([ !#-~]{1,70})"|([!#-:<-~]{1,70}))')
NAME = re.compile(rb'(?im)^content-disposition:[^\r\n]*?[;\s]name=(?:"([^"\r\n]*)"|([^\s;"]+))')


class Bodies:
    """Takes bodies in. Who sends more than a few at a time waits, with the rest unread."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[Hashable, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def taken(self, request: web.Request, most: int, whose: Hashable) -> AsyncIterator[bytearray]:
        """The body, of at most so many bytes. Its person's turn ends with the block, so nobody keeps it beyond that.

        Raises: HTTPRequestEntityTooLarge, HTTPRequestTimeout, HTTPBadRequest.
        """
        turn = self._turns.setdefault(whose, asyncio.Semaphore(AT_ONCE))
        async with turn:
            yield await _read(request, most)


async def _read(request: web.Request, most: int) -> bytearray:
    if (length := request.content_length or 0) > most:
        raise web.HTTPRequestEntityTooLarge(most, length)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            await _go_ahead(request)
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > most:
                    raise web.HTTPRequestEntityTooLarge(most, len(body))
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (web.RequestPayloadError, ConnectionError):  # broken, or its sender has gone
        raise web.HTTPBadRequest from None
    return body


async def no_answer(_request: web.Request) -> None:
    """What a route is to say to an `Expect` header: nothing, until its handler wants the body."""


async def _go_ahead(request: web.Request) -> None:
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer hasn't begun


def fields_of(content_type: str, body: bytearray) -> list[tuple[str, bytes]]:
    """The fields of a form (RFC 7578) in order, by name. Raises: HTTPBadRequest."""
    found = BOUNDARY.match(content_type)
    boundary = b"--" + (found[1] or found[2]).encode() if found else b""
    if not boundary or not body.startswith(boundary):
        raise web.HTTPBadRequest
    fields: list[tuple[str, bytes]] = []
    at, whole = len(boundary), memoryview(body)
    while not body.startswith(b"--", at):
        head = body.find(b"\r\n\r\n", at, at + MOST_HEAD)
        end = body.find(b"\r\n" + boundary, head + 4)
        name = NAME.search(body, at, head) if head >= 0 else None
        if name is None or end < 0 or len(fields) >= MOST_FIELDS:
            raise web.HTTPBadRequest
        fields.append(((name[1] or name[2] or b"").decode(errors="replace"), bytes(whole[head + 4 : end])))
        at = end + 2 + len(boundary)
    return fields
