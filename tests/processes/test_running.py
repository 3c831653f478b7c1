"""`easel run` from outside, as a process: exit codes, sentences, signals, a network that comes late."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import discord
import pytest
from fake_discord import FakeDiscord

from bot.features.operations import heartbeat
from bot.store.lock import directory_lock
from tests.services.workbench import until

HERE = Path(__file__).parent
TOKEN = "good.token.here"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals as systems send them")


@dataclass
class Process:
    """A running `easel`; `said` is everything it wrote so far."""

    process: asyncio.subprocess.Process
    said: str = ""

    async def ended(self, within_s: float = 60) -> int:
        async with asyncio.timeout(within_s):
            return await self.process.wait()

    async def says(self, words: str) -> None:
        async def it_did() -> bool:
            assert words in self.said or self.process.returncode is None, self.said
            return words in self.said

        await until(it_did, 60)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def read(self) -> None:
        assert self.process.stdout is not None
        while data := await self.process.stdout.read(4096):
            self.said += data.decode("utf-8", "replace")


@asynccontextmanager
async def easel(url: str, folder: Path, *command: str, engine: bool = True, **settings: str) -> AsyncIterator[Process]:
    """Start `easel COMMAND` in an empty folder, with Discord at `url`; without what paints, if `engine` isn't there."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("EASEL_")}
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    chosen = {"EASEL_TOKEN": TOKEN, "EASEL_DATA_DIR": str(folder / "data"), "EASEL_MIN_FREE_MIB": "0"} | settings
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(() if engine else (str(HERE / "no_engine.py"),)),
        *(str(HERE / "fake_discord.py"), url, *command),
        env={**env, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"} | chosen,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Process(process)
    reading = asyncio.create_task(running.read())
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading
    assert "Traceback" not in running.said, running.said


@pytest.fixture
async def world() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(TOKEN) as serving:
        yield serving


# ---------------------------------------------------------------- starting
async def test_it_starts_and_stops_when_asked(world: FakeDiscord, tmp_path: Path) -> None:
    async with easel(world.url, tmp_path, "run", EASEL_LOG_LEVEL="debug") as bot:
        await bot.says("ready as easel")
        assert world.identified == [TOKEN]

        async def is_well() -> bool:
            return heartbeat.read(tmp_path / "data")[0]

        await until(is_well, 30)
        bot.signal(signal.SIGTERM)
        assert await bot.ended(30) == 0
    assert TOKEN not in bot.said
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0, "others on the machine may look in"
    assert (tmp_path / "data" / "easel.db").stat().st_mode & 0o077 == 0


async def test_its_health_includes_discord(world: FakeDiscord, tmp_path: Path) -> None:
    async with easel(world.url, tmp_path, "run") as bot:
        await bot.says("ready as easel")
        world.close_code = 1001
        await world.drop()

        async def is_ill() -> bool:
            return "Discord: the connection is down" in heartbeat.read(tmp_path / "data")[1]

        await until(is_ill, 60)


async def test_a_network_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    with socket.socket() as held:  # a port that nobody answers
        held.bind(("127.0.0.1", 0))
        async with easel(f"http://127.0.0.1:{held.getsockname()[1]}/", tmp_path, "run") as bot:
            await bot.says("Discord can't be reached")
            await bot.says("trying again in 2 s")
            bot.signal(signal.SIGTERM)
            assert await bot.ended(10) == 0


async def test_an_outage_of_discord_is_waited_for(world: FakeDiscord, tmp_path: Path) -> None:
    world.status = 403
    async with easel(world.url, tmp_path, "run") as bot:
        await bot.says("Discord can't be reached (it answers 403)")
        world.status = 200
        await bot.says("ready as easel")


async def test_no_log_in_is_made_when_none_is_left(world: FakeDiscord, tmp_path: Path) -> None:
    world.remaining = 0
    async with easel(world.url, tmp_path, "run") as bot:
        await bot.says("no log-in is left")
        assert world.identified == []
        world.remaining = 5
        await bot.says("ready as easel")


async def test_a_refused_token_is_for_a_person(world: FakeDiscord, tmp_path: Path) -> None:
    async with easel(world.url, tmp_path, "run", EASEL_TOKEN="bad.token.here") as bot:
        assert await bot.ended() == 78
    assert "Discord refuses the token" in bot.said
    assert world.identified == []


async def test_a_token_that_the_gateway_refuses_is_for_a_person(world: FakeDiscord, tmp_path: Path) -> None:
    world.close_code = 4004
    async with easel(world.url, tmp_path, "run") as bot:
        assert await bot.ended() == 78
    assert "Discord refuses the token" in bot.said


@pytest.mark.parametrize("prepare", [lambda data: data.touch(), lambda data: (data / "easel.db").mkdir(parents=True)])
async def test_a_folder_that_cannot_be_used_is_for_a_person(
    world: FakeDiscord, tmp_path: Path, prepare: Callable[[Path], None]
) -> None:
    prepare(tmp_path / "data")
    async with easel(world.url, tmp_path, "run") as bot:
        assert await bot.ended() == 78
    assert "can't be written" in bot.said
    assert world.identified == []


async def test_a_second_process_may_be_started_again(world: FakeDiscord, tmp_path: Path) -> None:
    with directory_lock(tmp_path / "data"):
        async with easel(world.url, tmp_path, "run") as bot:
            assert await bot.ended() == 1
    assert "Another Easel is running" in bot.said


async def test_a_setting_that_cannot_be_used_is_for_a_person(world: FakeDiscord, tmp_path: Path) -> None:
    async with easel(world.url, tmp_path, "run", EASEL_OPERATORS="ann") as bot:
        assert await bot.ended() == 78
    assert "EASEL_OPERATORS" in bot.said


async def test_a_device_that_cannot_be_used_is_found_before_logging_in(world: FakeDiscord, tmp_path: Path) -> None:
    """Discord allows a thousand log-ins a day: a bot that dies after each would use them up."""
    async with easel(world.url, tmp_path, "run", EASEL_DEVICE="gpu") as bot:
        assert await bot.ended() == 78
    assert "EASEL_DEVICE is gpu." in bot.said
    assert not world.asked


async def test_a_model_that_is_not_whole_is_found_before_logging_in(world: FakeDiscord, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"hello")
    async with easel(world.url, tmp_path, "run", EASEL_MODEL=str(tmp_path / "x.safetensors")) as bot:
        assert await bot.ended() == 78
    assert "x.safetensors" in bot.said
    assert not world.asked


# ---------------------------------------------------------------- the doctor asks Discord
async def test_the_doctor_asks_discord(world: FakeDiscord, tmp_path: Path) -> None:
    may = discord.Permissions(view_channel=True, send_messages=True, send_messages_in_threads=True, embed_links=True)
    everything = discord.Permissions(administrator=True)
    world.guilds = [
        {"id": "7", "name": "a", "owner": False, "permissions": str(may.value), "features": []},
        {"id": "8", "name": "b", "owner": False, "permissions": str(everything.value), "features": []},
    ]
    world.application |= {"bot_public": True, "flags": 1 << 18}
    world.remaining = 3
    async with easel(world.url, tmp_path, "doctor") as asked:
        assert await asked.ended() == 0
    for line in (
        "ok    Discord: knows the token; the bot is easel",
        "note  application: Anybody may add the bot to their server.",
        "note  intents: A privileged intent is on",
        "note  log-ins: only 3 of 1000 are left",
        "ok    servers: the bot is in 2.",
        "note  server 7: the bot lacks Attach Files;",
    ):
        assert line in asked.said, asked.said
    assert "server 8" not in asked.said
    assert world.identified == [], "asking must not use up a log-in"


@pytest.mark.parametrize(
    ("status", "token", "says"),
    [(200, "bad.token.here", "refuses the token"), (503, TOKEN, "can't be reached"), (403, TOKEN, "can't be reached")],
)
async def test_the_doctor_says_why_discord_does_not_answer(
    world: FakeDiscord, tmp_path: Path, status: int, token: str, says: str
) -> None:
    world.status = status
    async with easel(world.url, tmp_path, "doctor", EASEL_TOKEN=token) as asked:
        assert await asked.ended() == 1
    assert f"bad   Discord: {says}" in asked.said


async def test_an_address_for_interactions_is_found(world: FakeDiscord, tmp_path: Path) -> None:
    world.application["interactions_endpoint_url"] = "https://elsewhere.example"
    async with easel(world.url, tmp_path, "doctor") as asked:
        assert await asked.ended() == 1
    assert "Commands are sent to https://elsewhere.example" in asked.said


# ---------------------------------------------------------------- signals
async def silent(world: FakeDiscord, bot: Process) -> None:
    """Discord accepts the connection and says nothing."""

    async def asked() -> bool:
        return world.asked["/gateway/bot"] > 0

    await until(asked, 60)


async def unreachable(world: FakeDiscord, bot: Process) -> None:
    await bot.says("can't be reached")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", [silent, unreachable])
async def test_a_signal_before_ready_is_obeyed_at_once(
    world: FakeDiscord, tmp_path: Path, moment: Callable[[FakeDiscord, Process], Awaitable[None]], number: int
) -> None:
    world.silent, world.status = True, 503 if moment is unreachable else 200
    async with easel(world.url, tmp_path, "run") as bot:
        await moment(world, bot)
        bot.signal(number)
        assert await bot.ended(30) == 0


async def test_a_second_signal_ends_at_once(world: FakeDiscord, tmp_path: Path) -> None:
    async with easel(world.url, tmp_path, "run", EASEL_SHUTDOWN_GRACE_S="100") as bot:
        await bot.says("ready as easel")
        bot.signal(signal.SIGTERM)
        bot.signal(signal.SIGTERM)
        await bot.ended(20)


async def test_painting_without_discord_obeys_too(tmp_path: Path) -> None:
    """As the first process of a container: there, a signal without a handler is ignored."""
    async with easel("http://127.0.0.1:1/", tmp_path, "imagine", "a red boat", "--steps", "100", "--n", "16") as bot:
        await bot.says("Loading the model")
        bot.signal(signal.SIGTERM)
        assert await bot.ended(10) == 128 + signal.SIGTERM
