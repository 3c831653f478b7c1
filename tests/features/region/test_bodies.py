"""Bodies of requests as senders make them, whole and broken: real requests against a real server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, FormData, web

from bot.features.region.bodies import MOST_FIELDS, Bodies, fields_of, no_answer
from bot.features.region.editor_server import ServerLog

MOST = 1000
KIND = "multipart/form-data; boundary=b"
HEAD = b'Content-Disposition: form-data; name="a"\r\n\r\n'
WHOLE = b"--b\r\n" + HEAD + b"x\r\n--b--\r\n"


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    """A server that answers with the fields of a form."""
    bodies = Bodies()

    async def answer(request: web.Request) -> web.Response:
        async with bodies.taken(request, MOST, "me") as body:
            return web.Response(text=repr(fields_of(request.headers.get("Content-Type", ""), body)))

    app = web.Application()
    app.router.add_route("POST", "/", answer, expect_handler=no_answer)
    runner = web.AppRunner(app, logger=ServerLog(logging.getLogger("bot.test")))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0]
    await runner.cleanup()


async def raw(address: tuple[str, int], head: str, body: bytes) -> int:
    """The status that a request as it stands is answered with."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {KIND}\r\n{head}\r\n".encode() + body)
    try:
        async with asyncio.timeout(30):
            return int((await reader.readline()).split()[1])
    finally:
        writer.close()


async def test_a_form_is_read_as_it_was_written(address: tuple[str, int]) -> None:
    form = FormData(quote_fields=False)
    form.add_field("prompt", "a boat: ünï")
    form.add_field("image", b"\r\n--b\r\n\x00", filename='a"name=b;.png', content_type="image/png")
    form.add_field("empty", "")
    async with ClientSession() as session, session.post(f"http://{address[0]}:{address[1]}", data=form) as answer:
        wanted = [("prompt", "a boat: ünï".encode()), ("image", b"\r\n--b\r\n\x00"), ("empty", b"")]
        assert await answer.text() == repr(wanted)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("", WHOLE),
        ("multipart/form-data", WHOLE),
        ("multipart/mixed; boundary=b", WHOLE),
        ("multipart/form-data; boundary=\udcff", WHOLE),
        (f"multipart/form-data; boundary={'b' * 71}", WHOLE),
        (KIND, b""),
        (KIND, b"--b"),
        (KIND, b"nothing"),
        (KIND, WHOLE[:-8]),
        (KIND, b"--b\r\nfoo\r\n\r\nx\r\n--b--\r\n"),
        (KIND, b"--b\r\n" + HEAD.replace(b"name", b"filename") + b"x\r\n--b--\r\n"),
        (KIND, b"--b\r\n" + b"a" * 10_000 + HEAD + b"x\r\n--b--\r\n"),
        (KIND, (b"--b\r\n" + HEAD + b"x\r\n") * (MOST_FIELDS + 1) + b"--b--\r\n"),
    ],
)
def test_a_broken_form_is_its_senders_fault(kind: str, body: bytes) -> None:
    with pytest.raises(web.HTTPBadRequest):
        fields_of(kind, bytearray(body))


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        (f"Content-Length: {len(WHOLE)}\r\n", WHOLE, 200),
        (f"Content-Length: {len(WHOLE)}\r\nExpect: 100-continue\r\n", WHOLE, 100),
        (f"Content-Length: {len(WHOLE)}\r\nExpect: miracles\r\n", WHOLE, 200),
        (f"Content-Length: {MOST + 1}\r\n", b"", 413),
        (f"Content-Length: {MOST + 1}\r\nExpect: 100-continue\r\n", b"", 413),
        ("Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\nzz\r\n", 400),
        ("Content-Encoding: gzip\r\nContent-Length: 5\r\n", b"hello", 400),
        ("Transfer-Encoding: chunked\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n", 413),
    ],
)
async def test_a_request_is_answered_by_its_body(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture, head: str, body: bytes, status: int
) -> None:
    assert await raw(address, head, body) == status
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
