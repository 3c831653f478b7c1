"""`easel demo`: the stage with its page, at an address that stays the same."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import webbrowser
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from bot import process
from bot.config import Settings
from bot.demo import welcome
from bot.demo.member_client import MemberClient
from bot.demo.page import DemoPage
from bot.demo.simulation import Stage, stage
from bot.process import Stopping
from bot.store.clock import SystemClock
from engine.backend import Backend

HOST = "127.0.0.1"
SPARE_S = 15.0  # beyond what running jobs get, for everything else that is stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the demo of a data directory is found, run after run; kept in a file that only its owner may read.

    Attributes:
        secret: part of the address; whoever has it can type.
        port, editor_port: of the page and of the mask editor; 0 = any free one.
        since_ms: the first start, UTC epoch.
    """

    secret: str
    since_ms: int
    port: int = 0
    editor_port: int = 0

    @classmethod
    def load(cls, path: Path) -> Self:
        """The address of the last run; a new one where there is none that can be read."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls(secret=secrets.token_urlsafe(16), since_ms=SystemClock().now_ms())

    def save(self, path: Path) -> None:
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class DemoWorld:
    """What is behind the page: see `bot.demo.page.World`."""

    viewers: dict[str, MemberClient]
    watch: Callable[[Callable[[], None]], Callable[[], None]]
    file: Callable[[str], bytes | None]
    greet: Callable[[], Coroutine[Any, Any, None]]

    @classmethod
    def of(cls, running: Stage, greet: Callable[[], Coroutine[Any, Any, None]]) -> Self:
        env = running.env
        return cls(
            {name: MemberClient(env, each) for name, each in running.members.items()}, env.watch, env.file, greet
        )


@asynccontextmanager
async def demo(
    settings: Settings, *, port: int = 0, make_engine: Callable[[], Backend] | None = None
) -> AsyncIterator[tuple[str, Stage]]:
    """The demo, open; gives its address. `port`: 0 = the last one, if it's free.

    Raises: StoreError, UserError.
    """
    kept = settings.data_dir / "demo.json"
    address = Address.load(kept)
    async with stage(_for_demo(settings, address), moderators=("Mo",), make_engine=make_engine, live=True) as running:
        turning = asyncio.create_task(running.env.run(), name="simulated discord")
        try:
            greet = await welcome.post(running, address.since_ms)
            page = DemoPage(DemoWorld.of(running, greet), address.secret)
            async with page.serve(HOST, port or address.port) as url:
                editor = urlsplit(running.app.region_selection.address)
                replace(address, port=urlsplit(url).port or 0, editor_port=editor.port or 0).save(kept)
                yield url, running
        finally:
            turning.cancel()
            await asyncio.gather(turning, return_exceptions=True)


def run(settings: Settings, *, port: int = 0, open_browser: bool = True) -> None:
    """Serve the demo's page until Ctrl-C."""
    process.run(lambda stopping: _run(settings, stopping, port, open_browser), settings.shutdown_grace_s + SPARE_S)


async def _run(settings: Settings, stopping: Stopping, port: int, open_browser: bool) -> None:
    async with demo(settings, port=port) as (url, _):
        stopping.ready()
        print(f"Easel's demo is at {url}", f"Its data is in {settings.data_dir}. Ctrl-C ends it.", sep="\n", flush=True)
        if open_browser:
            await asyncio.to_thread(webbrowser.open, url)
        await stopping.wait()


def _for_demo(settings: Settings, address: Address) -> Settings:
    """The settings without any list of servers, and with the mask editor: browser and bot are on one machine here."""
    port = address.editor_port if _is_free(address.editor_port) else 0
    editor = {} if settings.web_address else {"web_address": "auto", "web_port": port}
    return settings.model_copy(update={"servers": (), **editor})


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
