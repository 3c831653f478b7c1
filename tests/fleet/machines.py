"""A bot that workers dial in to: its fleet, its tokens and its web server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.features.region.editor_server import EditorServer
from bot.features.workers.page import WorkerPage
from bot.features.workers.tokens import WorkerTokens
from engine.fake import FakeEngine
from engine.fleet.fleet import Fleet
from engine.fleet.machines.dialing import address_of, join
from engine.fleet.machines.remembering import Remembered


class NoEditor:
    async def open(self, token: str) -> None:
        return None

    async def picture(self, token: str) -> None:
        return None

    async def send(self, token: str, mask: bytes, prompt: str, *, agreed: bool) -> None:
        return None


@dataclass
class Bot:
    """The bot's side: a fleet, and its web server."""

    fleet: Fleet
    address: str
    tokens: WorkerTokens
    page: WorkerPage


@asynccontextmanager
async def bot(folder: Path) -> AsyncIterator[Bot]:
    fleet, tokens = Fleet(memory=Remembered(folder)), WorkerTokens(folder)
    page = WorkerPage(fleet, folder)
    server = EditorServer(NoEditor(), host="127.0.0.1", port=0, address="auto", pages={WorkerPage.PATH: page.answer})
    async with fleet:
        address = await server.start()
        try:
            yield Bot(fleet, address_of(address), tokens, page)
        finally:
            await page.close()
            await server.stop()


@asynccontextmanager
async def joined(there: Bot, engine: FakeEngine, token: str) -> AsyncIterator[asyncio.Task[None]]:
    async with engine:
        joining = asyncio.create_task(join(there.address, token, engine))
        try:
            yield joining
        finally:
            joining.cancel()
            await asyncio.gather(joining, return_exceptions=True)
