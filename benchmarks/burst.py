"""How fast are a hundred simultaneous /imagine acknowledged, and are all delivered?

    python -m benchmarks.burst [members]

The whole bot runs in the simulated Discord, database with full durability, the engine replaced by the one that paints
circles, so that what is measured is the bot: from the moment Discord sends the interaction to its acknowledgement.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import discord

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from engine.fake import FakeEngine


async def measure(count: int, folder: Path) -> None:
    names = [f"member{n}" for n in range(count)]
    settings = Settings(_env_file=None, data_dir=folder, max_queue=10 * count, min_free_mib=0)  # type: ignore[call-arg]
    async with stage(settings, members=names, make_engine=FakeEngine, live=True) as studio:
        acknowledged = watch_acknowledgements()
        started = time.perf_counter()
        await asyncio.gather(*(studio.members[n].slash(studio.channel, "imagine", prompt="a red boat") for n in names))
        while len(grids := delivered(studio)) < count:  # noqa: ASYNC110  (Discord's side has nothing to wait for)
            await asyncio.sleep(0.1)
        await studio.idle()
        total = time.perf_counter() - started
        waits = sorted(at - started for at in acknowledged)
        print(f"{count} at once on {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
        print(f"acknowledged: {len(waits)}; p50 {pick(waits, 0.5):.0f} ms, p99 {pick(waits, 0.99):.0f} ms")
        print(
            f"delivered: {len(grids)} after {total:.1f} s; books wrong: {await studio.app.store.problems() or 'none'}"
        )


def delivered(studio: Stage) -> list[Any]:
    return [message for message in studio.channel.history() if message.attachments]


def watch_acknowledgements() -> list[float]:
    """Note the moment of each acknowledgement."""
    moments: list[float] = []
    defer = discord.InteractionResponse.defer

    async def noted(self: Any, **options: Any) -> Any:
        response = await defer(self, **options)
        moments.append(time.perf_counter())
        return response

    discord.InteractionResponse.defer = noted  # type: ignore[method-assign]
    return moments


def pick(sorted_s: list[float], share: float) -> float:
    """A percentile in milliseconds."""
    return 1000 * sorted_s[min(len(sorted_s) - 1, int(share * len(sorted_s)))]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100, Path(folder)))
