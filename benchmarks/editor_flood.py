"""What do half-open connections and a flood of pictures at the mask editor change for everybody else?

    python -m benchmarks.editor_flood [half-open connections] [pictures at a time]

The whole bot runs in the simulated Discord with its web server; another process opens connections that never finish
a request, and fetches the picture of a mask link over and over. Measured is the time from a command to Discord's
first answer to it, for a member who has nothing to do with the editor, before and meanwhile: by the clock, and in
processor time of the event loop's thread, which other programs on the machine don't change.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.burst import pick
from bot.config import Settings
from bot.demo.simulation import Stage, stage
from engine.fake import FakeEngine

ROUNDS, PAUSE_S = 200, 0.02
LINK = re.compile(r"http://[^\s'\"]+/mask/[\w-]+")
ATTACK = """
import asyncio, sys, aiohttp
link, half, pictures = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
port = int(link.split(":")[2].split("/")[0])

async def knock():
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /mask/x HTTP/1.1\\r\\nHost: a\\r\\nX-a: ")
            await reader.read()
            writer.close()
        except OSError:
            pass
        await asyncio.sleep(1.0)

async def fetch(session):
    while True:
        try:
            async with session.get(link + "/picture") as answer:
                await answer.read()
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(0.1)

async def main():
    print("ready", flush=True)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(knock() for _ in range(half)), *(fetch(session) for _ in range(pictures)))

asyncio.run(main())
"""


async def measure(half_open: int, pictures: int, folder: Path) -> None:
    options: dict[str, Any] = {"web_address": "auto", "min_free_mib": 0, "max_queue": 100_000, "credits_a_day": 10_000}
    settings = Settings(_env_file=None, data_dir=folder, **options)
    async with stage(settings, make_engine=FakeEngine, live=True) as studio:
        link = await editor_link(studio)
        quiet = await answered(studio)
        arguments = [sys.executable, "-c", ATTACK, link, str(half_open), str(pictures)]
        attack = subprocess.Popen(arguments, stdout=subprocess.PIPE)  # noqa: ASYNC220  (it only starts)
        try:
            await asyncio.sleep(5.0)
            busy = await answered(studio)
            files = len(os.listdir("/proc/self/fd"))
        finally:
            attack.kill()
            attack.wait()
        print(f"{half_open} half-open connections and {pictures} pictures at a time, {os.cpu_count()} cores")
        print(f"files and connections of the bot meanwhile: {files}")
        for when, waits in (("quiet", quiet), ("meanwhile", busy)):
            shown = [f"{n} p50 {pick(w, 0.5):.1f} ms, p99 {pick(w, 0.99):.1f} ms" for n, w in waits.items()]
            print(f"{when}: {'; '.join(shown)}")


async def editor_link(studio: Stage) -> str:
    """A fresh link of the mask editor, for a picture of 4 megapixels."""
    out = io.BytesIO()
    Image.effect_noise((2048, 2048), 60).convert("RGB").save(out, "JPEG")
    result = await studio.members["Ben"].slash(
        studio.channel, "inpaint", prompt="a star", image=("a.jpg", out.getvalue())
    )
    while True:  # Discord's side has nothing to wait for
        if result.response is not None and (found := LINK.search(repr(result.response.components))):
            return found[0]
        await asyncio.sleep(0.1)


async def answered(studio: Stage) -> dict[str, list[float]]:
    """Seconds to the first answer of each of many commands, one after the other, sorted; by each clock."""
    clocks = {"clock": time.perf_counter, "loop": time.thread_time}
    waits: dict[str, list[float]] = {name: [] for name in clocks}
    for _ in range(ROUNDS):
        began = {name: clock() for name, clock in clocks.items()}
        await studio.members["Ann"].slash(studio.channel, "upscale", source="999999")
        for name, clock in clocks.items():
            waits[name].append(clock() - began[name])
        await asyncio.sleep(PAUSE_S)
    return {name: sorted(found) for name, found in waits.items()}


if __name__ == "__main__":
    half, at_once = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else (2000, 200)
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(measure(half, at_once, Path(temporary)))
