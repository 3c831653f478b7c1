"""What anybody on the network may send to the web server: nothing of it is an error of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from engine.fake import FakeEngine

NO_TEXT = b"Authorization: Bearer \xff\xfe\r\n"
SENT: tuple[tuple[bytes, bytes, int], ...] = (  # the first line without its version, more lines, the answer's status
    (b"GET /v1/models", NO_TEXT, 401),
    (b"POST /v1/images/edits", NO_TEXT, 401),
    (b"GET /metrics", NO_TEXT, 404),
    (b"GET /servers/9223372036854775807", b"", 404),
    (b"GET /servers/9223372036854775808", b"", 404),
    (b"GET /servers/1?before=9999999999999999999", b"", 404),
    (b"GET /servers/1/9999999999999999999.png", b"", 404),
    (b"GET /servers/" + b"9" * 5000, b"", 404),
    (b"GET /gallery/\xff", b"", 400),
    (b"GET /gallery/%ed%a0%80", b"", 404),
    (b"GET /mask/%00/picture", b"", 404),
    (b"GET http://[::1/", b"", 400),
    (b"GET /metrics", b"X: " + b"a" * 70_000 + b"\r\n", 400),
    (b"POST /v1/images/generations", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
    (b"POST /nothing", b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"POST /nothing", b"Expect: miracles\r\n", 404),
)


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Stage]:
    settings = Settings(
        _env_file=None,
        data_dir=tmp_path / "data",
        min_free_mib=0,
        web_port=0,
        web_address="auto",
        api=True,
        metrics_token=SecretStr("open-sesame"),
    )
    async with stage(settings, make_engine=FakeEngine) as running:
        yield running


async def test_nothing_that_strangers_send_is_our_error(studio: Stage, caplog: pytest.LogCaptureFixture) -> None:
    assert studio.app.gallery_page.address is not None
    port = int(studio.app.gallery_page.address.rpartition(":")[2])
    for line, more, status in SENT:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(line + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + more + b"\r\n")
            async with asyncio.timeout(30):
                assert int((await reader.readline()).split()[1]) == status, (line[:60], more[:60])
                await reader.read()
        finally:
            writer.close()
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
