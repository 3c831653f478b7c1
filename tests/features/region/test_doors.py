"""Connections that only take up room: real sockets against the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import pytest
from aiohttp import ClientSession

from bot.features.region.doors import DoorLimits, Doors
from bot.features.region.editor_server import PICTURES, EditorServer
from tests.features.region.test_editor_server import GOOD, Desk, form

LIMITS = DoorLimits(most=20, from_one=12, head_s=0.5, answer_s=20.0)
HALF = b"GET /mask/x HTTP/1.1\r\nHost: a\r\nX-a: "


@pytest.fixture
async def server() -> AsyncIterator[EditorServer]:
    server = EditorServer(Desk(), host="127.0.0.1", port=0, address="auto", limits=LIMITS)
    server.base = await server.start()  # type: ignore[attr-defined]
    yield server
    await server.stop()


def base(server: EditorServer) -> str:
    return str(server.base)  # type: ignore[attr-defined]


def doors(server: EditorServer) -> Doors:
    assert server.doors is not None
    return server.doors


async def knock(stack: AsyncExitStack, server: EditorServer, source: str = "127.0.0.1") -> asyncio.StreamReader:
    """A connection that says half of a request."""
    port = int(base(server).rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    stack.callback(writer.close)
    writer.write(HALF)
    return reader


async def test_half_open_requests_keep_nobody_out(server: EditorServer) -> None:
    async with AsyncExitStack() as stack:
        for number in range(200):
            await knock(stack, server, f"127.0.0.{2 + number % 5}")
            assert doors(server).open <= LIMITS.most
        async with ClientSession(base_url=base(server)) as session, session.get(f"/mask/{GOOD}") as page:
            assert page.status == 200
        assert doors(server).open <= LIMITS.most


async def test_one_address_has_so_many_connections(server: EditorServer) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(40):
            await knock(stack, server)
        await knock(stack, server, "127.0.0.9")
        await asyncio.sleep(0)
        assert doors(server).open <= LIMITS.from_one + 1


async def test_who_says_nothing_is_let_go(server: EditorServer) -> None:
    async with AsyncExitStack() as stack:
        reader = await knock(stack, server)
        async with asyncio.timeout(30):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        assert doors(server).open == 0


async def test_whoever_is_being_served_stays(server: EditorServer) -> None:
    """The form is sent while others knock: more than fit, but none of them is served."""
    async with AsyncExitStack() as stack, ClientSession(base_url=base(server)) as session:
        answers = [asyncio.create_task(_send(session)) for _ in range(3)]
        for _ in range(60):
            await knock(stack, server)
        assert sorted(await asyncio.gather(*answers)) == [200, 404, 404]  # a link is good for one


async def _send(session: ClientSession) -> int:
    async with session.post(f"/mask/{GOOD}", data=form(b"mask" * 10_000)) as answer:
        return answer.status


async def test_a_picture_is_not_sent_over_and_over(server: EditorServer) -> None:
    async with ClientSession(base_url=base(server)) as session:
        found = []
        for _ in range(2 * PICTURES):
            async with session.get(f"/mask/{GOOD}/picture") as answer:
                found.append(answer.status)
    assert found == [200] * PICTURES + [404] * PICTURES
