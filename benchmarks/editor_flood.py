"""What do half-open connections and a flood of pictures at the mask editor change for everybody else?

    python -m benchmarks.editor_flood [half-open connections] [pictures at a time]

On a machine that does other things too, root may write `chrt -f 10 taskset -c 0` before it: that gives the bot a core
of its own, and leaves the others to the attacker.

The whole bot runs in the simulated Discord with its web server; another process opens connections that never finish
a request, and fetches the picture of a mask link over and over. Measured is the time from a command to Discord's
first answer to it, for a member who has nothing to do with the editor, in turns without and with the attack: by the
clock; by the clock without what the event loop's thread waited for a core (Linux counts that, and on a machine of one's
own the attacker takes none); and in processor time of that thread. The second is what the promise is about: waiting
for Python's lock, for other threads and for the web server counts, the neighbours' programs don't.
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
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from benchmarks.burst import pick
from bot.config import Settings
from bot.demo.simulation import Stage, stage
from engine.fake import FakeEngine

ROUNDS, PAUSE_S, TURNS = 200, 0.02, 3
LINK = re.compile(r"http://[^\s'\"]+/mask/[\w-]+")
ATTACK = """
import asyncio, signal, sys, aiohttp
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
            global fetched
            fetched += answer.status == 200
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(0.1)

async def main():
    print("ready", flush=True)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(knock() for _ in range(half)), *(fetch(session) for _ in range(pictures)))

def end(*_):
    print(fetched, flush=True)
    raise SystemExit

fetched = 0
signal.signal(signal.SIGTERM, end)
asyncio.run(main())
"""


async def measure(half_open: int, pictures: int, folder: Path) -> None:
    options: dict[str, Any] = {"web_address": "auto", "min_free_mib": 0, "max_queue": 100_000, "credits_a_day": 10_000}
    settings = Settings(_env_file=None, data_dir=folder, **options)
    async with stage(settings, make_engine=FakeEngine, live=True) as studio:
        link = await editor_link(studio)
        quiet, busy, fetched = [], [], 0
        for _ in range(TURNS):
            quiet.append(await answered(studio))
            waits, got = await attacked(studio, link, half_open, pictures)
            busy.append(waits)
            fetched += got
        print(f"{half_open} half-open connections and {pictures} pictures at a time, {fetched} of them were sent")
        for name in CLOCKS:
            for share, called in ((0.5, "p50"), (0.99, "p99")):
                before, meanwhile = (median(pick(turn[name], share) for turn in turns) for turns in (quiet, busy))
                times = f"{before:6.2f} ms, meanwhile {meanwhile:6.2f} ms"
                print(f"{name:22} {called}: {times}, {meanwhile / before:.1f}x")


async def attacked(studio: Stage, link: str, half_open: int, pictures: int) -> tuple[dict[str, list[float]], int]:
    """The same while another process attacks; how many pictures that got."""
    arguments = [sys.executable, "-c", ATTACK, link, str(half_open), str(pictures)]
    attack = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, preexec_fn=apart)  # noqa: ASYNC220
    assert attack.stdout is not None
    try:
        await asyncio.to_thread(attack.stdout.readline)  # it's ready
        await asyncio.sleep(5.0)
        waits = await answered(studio)
        attack.terminate()
        return waits, int(await asyncio.to_thread(attack.stdout.readline) or 0)
    finally:
        attack.kill()
        attack.wait()


def apart() -> None:
    """On the cores that the bot isn't bound to, and not ahead of other programs even if the bot is."""
    mine = os.sched_getaffinity(0)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - mine or mine)


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


def waited() -> float:
    """Seconds that this thread was ready to run and had no core (proc(5): schedstat)."""
    with open("/proc/thread-self/schedstat", encoding="ascii") as file:
        return int(file.read().split()[1]) / 1e9


CLOCKS: dict[str, Callable[[], float]] = {
    "clock": time.perf_counter,
    "clock, without waits": lambda: time.perf_counter() - waited(),
    "loop's processor time": time.thread_time,
}


async def answered(studio: Stage) -> dict[str, list[float]]:
    """Seconds to the first answer of each of many commands, one after the other, sorted; by each clock."""
    waits: dict[str, list[float]] = {name: [] for name in CLOCKS}
    for _ in range(ROUNDS):
        began = {name: clock() for name, clock in CLOCKS.items()}
        await studio.members["Ann"].slash(studio.channel, "upscale", source="999999")
        for name, clock in CLOCKS.items():
            waits[name].append(clock() - began[name])
        await asyncio.sleep(PAUSE_S)
    return {name: sorted(found) for name, found in waits.items()}


if __name__ == "__main__":
    half, at_once = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else (2000, 200)
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(measure(half, at_once, Path(temporary)))
