"""A bot that was installed without PyTorch: others paint for it, and it says so where it's to paint itself."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import sys
from pathlib import Path

import aiohttp
import pytest
from fake_discord import MEMBER, SERVER, FakeDiscord
from PIL import Image
from test_running import TOKEN, easel

from bot.features.workers.tokens import WorkerTokens
from engine.fake import FakeEngine, paint
from engine.fleet.machines.dialing import address_of, join
from tests.foreign.services import OpenAi, served

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="as the other tests of processes")
WISH = {"prompt": "a red boat", "seed": 5, "steps": 4, "size": "64x64"}


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


async def key_of(folder: Path, world: FakeDiscord) -> str:
    """A member's key, which is made beside the running bot."""
    command = ("admin", "key", MEMBER, "--guild", SERVER)
    async with easel(world.url, folder, *command, engine=False, EASEL_API="true") as asked:
        assert await asked.ended() == 0, asked.said
    return asked.said.strip().splitlines()[-1]


async def painted(port: int, key: str, model: str) -> Image.Image:
    """What a member gets for their key."""
    url, wish = f"http://127.0.0.1:{port}/v1/images/generations", {**WISH, "model": model}
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession() as session, session.post(url, headers=headers, json=wish) as answer:
        said = await answer.json()
    assert answer.status == 200, said
    return Image.open(io.BytesIO(base64.b64decode(said["data"][0]["b64_json"])))


async def test_a_worker_that_dials_in_and_another_service_paint_for_it(tmp_path: Path) -> None:
    port, token, there = free_port(), WorkerTokens(tmp_path / "data").make("garage"), OpenAi()
    settings = {"EASEL_DEVICE": "none", "EASEL_WORKERS": "true", "EASEL_API": "true", "EASEL_WEB_PORT": f"{port}"}
    async with FakeDiscord(TOKEN, home=True) as world, served(there.app()) as address, FakeEngine() as engine:
        settings["EASEL_ENGINES"] = json.dumps({"gpt": {"openai": f"{address}/v1", "key": "sk-test"}})
        async with easel(world.url, tmp_path, "run", engine=False, **settings) as bot:
            await bot.says("ready as easel")
            joining = asyncio.create_task(join(address_of(f"ws://127.0.0.1:{port}"), token, engine))
            await bot.says("the worker garage is there")
            key = await key_of(tmp_path, world)
            for model in ("mini", "gpt"):
                image = await painted(port, key, model)
                assert image.convert("RGB").tobytes() == paint(5, 64, 64).tobytes()
            joining.cancel()
            await asyncio.gather(joining, return_exceptions=True)


@pytest.mark.parametrize("command", [("run",), ("worker", "--join", "ws://x", "--token", "x")])
async def test_where_it_is_to_paint_itself_it_says_what_is_missing(command: tuple[str, ...], tmp_path: Path) -> None:
    async with easel("http://127.0.0.1:9/", tmp_path, *command, engine=False) as bot:
        assert await bot.ended() != 0
    assert "isn't installed" in bot.said
    assert "python3 install.py" in bot.said
