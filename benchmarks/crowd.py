"""A thousand members ask ten times each: is everybody answered in time, and does anything grow without end?

    python -m benchmarks.crowd [members] [requests of each] [of them at once]

All members begin at once, and each asks again as soon as they are answered; with a third number of 10, nobody waits and
ten thousand requests are there in the same moment.

The way from the command's callback to the queue is the real one: checks, terms, moderation, credits, the database with
full durability, painting by the engine that paints circles, deliveries. Discord's side is a stand-in that notes when it
is answered, because the simulated Discord costs more than the bot does. Times are given twice: as the wall saw them,
and in the process's own CPU time, which is what a machine with nothing else to do would need at most.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import os
import platform
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import discord

from bot.app import App
from bot.config import Settings
from bot.jobs.outbox import Receipt
from bot.jobs.records import Job, OutboxEntry, StoredImage
from engine.fake import FakeEngine

GUILD, CHANNEL, APPLICATION = 1_000, 2_000, 3_000
MIB = 1024 * 1024
ALL = discord.Permissions.all()


@dataclass
class Tally:
    """What the crowd saw. Seconds since each asked, by the wall and by the process's CPU clock."""

    acknowledged: list[tuple[float, float]] = field(default_factory=list)
    answered: list[tuple[float, float]] = field(default_factory=list)
    words: Counter[str] = field(default_factory=Counter)
    longest_queue: int = 0
    delivered: int = 0


class Caller:
    """Discord's side of one interaction, as far as the bot asks it: also its own `response` and `followup`."""

    _ids = itertools.count(10_000)

    def __init__(self, client: Any, user_id: int, tally: Tally, began: tuple[float, float]) -> None:
        self.client, self.id, self._tally, self._began = client, next(self._ids), tally, began
        self.user, self.locale = SimpleNamespace(id=user_id), discord.Locale.american_english
        self.guild_id, self.channel_id, self.application_id = GUILD, CHANNEL, APPLICATION
        self.guild, self.channel, self.token, self.filesize_limit = None, None, "token", 10 * MIB
        self.permissions = self.app_permissions = ALL
        self.created_at = discord.utils.utcnow()
        self.extras: dict[str, Any] = {}
        self.data = {"name": "imagine"}
        self.type = discord.InteractionType.application_command
        self.response, self.followup, self._done = self, SimpleNamespace(send=self._said), False

    def is_guild_integration(self) -> bool:
        return True

    def is_done(self) -> bool:
        return self._done

    async def defer(self, **how: Any) -> Any:
        self._acknowledge()
        self.type = discord.InteractionResponseType.deferred_channel_message
        return SimpleNamespace(message_id=self.id)

    async def send_message(self, *what: Any, **how: Any) -> None:
        self._acknowledge()
        await self._said(*what, **how)

    async def _said(self, content: str = "", **how: Any) -> Any:
        self._tally.words[content.split(".")[0]] += 1
        return SimpleNamespace(id=self.id)

    async def edit_original_response(self, **how: Any) -> None: ...

    async def delete_original_response(self) -> None: ...

    def ended(self) -> None:
        """The command is done: with a refusal, or with a job whose place in the queue is shown."""
        self._tally.answered.append(self._moment())

    def _moment(self) -> tuple[float, float]:
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]

    def _acknowledge(self) -> None:
        self._done = True
        self._tally.acknowledged.append(self._moment())


class Silent:
    """The bot's side of Discord's messages: nothing is shown, everything is delivered."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    async def announce(self, job: Job, position: int) -> None:
        self.tally.longest_queue = max(self.tally.longest_queue, position + 1)

    async def on_event(self, job: Job, event: object) -> None: ...

    async def deliver(self, owed: OutboxEntry, job: Job, images: Sequence[StoredImage]) -> Receipt:
        self.tally.delivered += 1
        return Receipt(message_id=None)

    async def close(self) -> None: ...


async def ask(app: App, members: int, each: int, tally: Tally, abreast: int = 1) -> None:
    """Everybody asks, `abreast` times at once and `each` times in all; returns when everybody is answered."""
    command: Any = app.client.tree.get_command("imagine")

    async def one(user_id: int) -> None:
        for _ in range(each // abreast):
            caller = Caller(app.client, user_id, tally, (time.perf_counter(), time.process_time()))
            await app.client.run_checks(caller)  # type: ignore[arg-type]  # as the tree does
            await command.callback(caller, prompt="a red boat", private=False)
            caller.ended()

    await asyncio.gather(*(one(1 + n % members) for n in range(members * abreast)))


async def opened(settings: Settings, tally: Tally) -> App:
    """An Easel whose messages go nowhere."""
    app = App(settings, FakeEngine(), shard_count=1)
    await app.__aenter__()
    silent: Any = Silent(tally)
    app.messages = app.submission._messages = app.dispatcher._listener = app.outbox._courier = silent
    return app


async def settled(app: App) -> None:
    while await app.jobs.pending():  # noqa: ASYNC110  (the database is the only one who knows)
        await asyncio.sleep(0.05)


def resident_mib() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / MIB


async def measure(members: int, each: int, abreast: int, folder: Path) -> None:
    tally = Tally()
    settings = Settings(_env_file=None, data_dir=folder, min_free_mib=0)  # type: ignore[call-arg]
    app = await opened(settings, tally)
    try:
        await app.start()
        await ask(app, 100, 10, tally)  # warm: caches, statements, the arenas of as many jobs as may wait
        await settled(app)
        silent: Any = app.messages
        tally = silent.tally = Tally()
        before = resident_mib()
        await ask(app, members, each, tally, abreast)
        answered = resident_mib()
        await settled(app)
        after = resident_mib()
        wrong = await app.store.problems()
    finally:
        await app.__aexit__(None, None, None)
    print(
        f"{members} members x {each}, {abreast} of each at once; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(f"{platform.machine()}, Python {platform.python_version()}")
    for name, moments in (("acknowledged", tally.acknowledged), ("answered", tally.answered)):
        for clock, which in (("wall", 0), ("CPU", 1)):
            times = sorted(moment[which] for moment in moments)
            print(f"{name} ({clock}): {len(times)}; p50 {times[len(times) // 2]:.2f} s, last {times[-1]:.2f} s")
    print(f"delivered {tally.delivered}; refused: {dict(tally.words)}")
    print(f"longest queue {tally.longest_queue} of at most {settings.max_queue}; books wrong: {wrong or 'none'}")
    print(f"memory {before:.0f} MiB, {answered:.0f} MiB when all were answered, {after:.0f} MiB when all was delivered")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    counts = [int(each) for each in sys.argv[1:]] + [1000, 10, 1][len(sys.argv) - 1 :]
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(*counts, Path(folder)))
