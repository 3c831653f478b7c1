"""Workers dial in over TLS, through a proxy that ends it, with a certificate that they trust; by no other one."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fakes import asked, check_painted, events_of, until
from machines import bot

ROOT = Path(__file__).parents[2]
WORKER = """
import asyncio, sys
from engine.api.errors import InvalidSetup
from engine.fake import FakeEngine
from engine.fleet.machines.dialing import address_of, join

async def work():
    async with FakeEngine() as engine:
        await join(address_of(sys.argv[1]), sys.argv[2], engine)

try:
    asyncio.run(work())
except InvalidSetup as error:
    sys.exit(str(error))
"""
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made with openssl")


@dataclass
class Proxy:
    """Ends TLS and passes everything on, as Caddy does."""

    address: str
    heard: list[bytes] = field(default_factory=list)  # what came out of TLS


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority of the tests' own, and certificates that it has signed."""
    made = tmp_path_factory.mktemp("tls")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(made, "req", "-x509", *key, "-days", "2", "-subj", "/CN=A test", "-keyout", "ca.key", "-out", "ca.pem")
    for host in ("localhost", "elsewhere.example"):
        (made / "names").write_text(f"subjectAltName=DNS:{host}")
        openssl(made, "req", *key, "-subj", f"/CN={host}", "-keyout", f"{host}.key", "-out", "request")
        signed_by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2")
        openssl(made, "x509", "-req", "-in", "request", *signed_by, "-out", f"{host}.pem")
    return made


@asynccontextmanager
async def proxy(folder: Path, host: str, behind: str) -> AsyncIterator[Proxy]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{host}.pem", folder / f"{host}.key")
    to = urlsplit(behind)
    made = Proxy("")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[bytes]) -> None:
        while data := await reader.read(1 << 16):
            heard.append(data)
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(to.hostname, to.port)
        await asyncio.gather(
            pump(reader, there_writer, made.heard), pump(there_reader, writer, []), return_exceptions=True
        )

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    made.address = f"wss://localhost:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


@asynccontextmanager
async def worker(address: str, token: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker's own process: whom it trusts is read once, from its environment."""
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith("SSL_CERT")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WORKER, address, token),
        env={**surroundings, "PYTHONPATH": str(ROOT), **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_worker_paints_over_tls(tmp_path: Path, folder: Path) -> None:
    async with bot(tmp_path) as there, proxy(folder, "localhost", there.address) as front:
        token = there.tokens.make("garage")
        async with worker(front.address, token, SSL_CERT_FILE=str(folder / "ca.pem")):
            await until(lambda: bool(there.fleet.members))
            check_painted(await events_of(there.fleet.submit(asked(3, num_images=2))), 3, 2)
        assert any(token.encode() in data for data in front.heard)
        await until(lambda: not there.fleet.members)


@pytest.mark.parametrize(
    ("host", "trusted", "why"),
    [("localhost", False, "unable to get local issuer certificate"), ("elsewhere.example", True, "localhost")],
)
async def test_a_wrong_certificate_is_refused_with_a_sentence(
    tmp_path: Path, folder: Path, host: str, trusted: bool, why: str
) -> None:
    """Before the token is told."""
    trust = {"SSL_CERT_FILE": str(folder / "ca.pem")} if trusted else {}
    async with bot(tmp_path) as there, proxy(folder, host, there.address) as front:
        token = there.tokens.make("garage")
        async with worker(front.address, token, **trust) as process:
            _, said = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 1
        assert "certificate can't be trusted" in said.decode()
        assert why in said.decode()
        assert "SSL_CERT_FILE" in said.decode()
        assert front.heard == []
        assert there.fleet.members == []
