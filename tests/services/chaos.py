"""A process to be killed: takes jobs and edits, gives credits, forgets people, makes backups, tidies up.

It notes what it acknowledged, and delivers into a file that plays Discord.

Run: `python chaos.py FOLDER ROUND`; it goes on until it is killed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from workbench import Ear, Workbench, asked, workbench

from bot.backup import keeping
from bot.features.audit.service import Audit
from bot.features.credits.service import Credits
from bot.features.privacy.service import Privacy
from bot.jobs.outbox import Receipt
from bot.jobs.records import Job, OutboxEntry, StoredImage
from bot.orders.actor import Actor
from bot.store.clock import Clock, SystemClock
from bot.upkeep.interrupted_work import InterruptedWork
from bot.upkeep.reconciler import Reconciler
from bot.upkeep.stray_files import StrayFiles
from engine.fake import FakeEngine

ALLOWANCE_CREDITS = 10**6
LEAVERS = 10**9  # whoever has a larger id leaves
MESSAGE = 10**9  # the progress message of a job is MESSAGE + its id
SETTINGS: dict[str, Any] = {"credits_a_day": ALLOWANCE_CREDITS, "max_queued": 10**6, "max_queue": 10**6}


class Ledger:
    """Append-only file; one `write` a line, so a kill leaves whole lines or none."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, **facts: Any) -> None:
        os.write(self._file, (json.dumps(facts) + "\n").encode())


class FilePost:
    """Discord's side of delivering: editing is idempotent, creating twice with one nonce makes one message."""

    def __init__(self, path: Path, dice: random.Random) -> None:
        self._path, self._ledger, self._dice = path, Ledger(path), dice

    async def deliver(self, owed: OutboxEntry, job: Job, images: Sequence[StoredImage]) -> Receipt:
        await asyncio.sleep(self._dice.uniform(0, 0.01))
        known = job.message_id or job.reply_token  # a token reaches the same first answer before its id is bound
        message = MESSAGE + job.id if known else f"by nonce {owed.nonce}"
        self._ledger.note(job=job.id, message=message, kind=owed.kind, images=[image.sha256 for image in images])
        await asyncio.sleep(self._dice.uniform(0, 0.01))  # killed here: Discord has it, the database does not know
        return Receipt(message_id=job.message_id or 1)


def upkeep(bench: Workbench, clock: Clock) -> Reconciler:
    """What the app's reconciler does with these services."""
    interrupted = InterruptedWork(bench.store.db, bench.store, bench.dispatcher, clock)
    strays = StrayFiles(bench.store.db, bench.files, clock)
    steps = {
        "whose folder it is": strays.begin,
        "what has expired": bench.store.forget_expired,
        "files to remove": bench.jobs.remove_ended_files,
        "erasures": privacy(bench, clock).finish_erasures,
        "jobs that nobody paints": interrupted.take_up,
        "what no transaction leaves": interrupted.put_right,
        "stray files": strays.look_at_all,
    }
    return Reconciler(steps)


def privacy(bench: Workbench, clock: Clock) -> Privacy:
    return Privacy(bench.store.db, bench.jobs, bench.files, bench.dispatcher, clock)


class Life:
    """What goes on at the same time, in one round."""

    def __init__(self, bench: Workbench, folder: Path, round_: int) -> None:
        self.bench, self.folder, self.round = bench, folder, round_
        self.clock = SystemClock()
        self.acks, self.acts = Ledger(folder / "acks.jsonl"), Ledger(folder / "acts.jsonl")
        self.credits = Credits(bench.store.db, Audit(bench.store.db, self.clock), bench.settings, self.clock)
        self.privacy = privacy(bench, self.clock)

    async def ask(self) -> None:
        """Jobs, every fourth an edit of a picture that several people upload; some are cancelled, some deleted."""
        for n in itertools.count(1):
            token = "secret" if n % 3 else ""  # every third job has nothing to edit: its message is made, by nonce
            who = {"interaction_id": self.round * 10**6 + n, "user_id": 1 + n % 5, "reply_token": token}
            edit = {} if n % 4 else {"task": "img2img", "strength": 0.5, "init_image": await self.upload(n % 3, n % 5)}
            new = asked(num_images=1 + n % 2, seed=n, **edit, **who)
            job = await self.bench.jobs.submit(new)
            self.acks.note(interaction=new.interaction_id, job=job.id)
            if n % 3:
                await self.bench.store.bind_message(job.id, MESSAGE + job.id)
            if n % 7 == 0:
                await asyncio.sleep(0.01 * (n % 2))
                await self.bench.jobs.cancel(job.id, by=job.user_id)
            await asyncio.sleep(0.02)

    async def upload(self, which: int, user_id: int) -> str:
        return await self.bench.jobs.store_input(Image.new("RGB", (16, 16), (which, self.round % 256, 7)), 1 + user_id)

    async def give(self) -> None:
        """Grants, and gifts of what was granted."""
        for n in itertools.count(1):
            key = str(self.round * 10**6 + n)
            by, to = Actor(user_id=1 + n % 5, guild_id=1, channel_id=2), 1 + (n + 1) % 5
            if n % 3:
                await self.credits.grant(by, to, 1000 + n, "well done", key)
            else:
                await self.credits.gift(by, to, 1, 10**9, key)
            self.acts.note(kind="grant" if n % 3 else "gift", key=key)
            await asyncio.sleep(0.015)

    async def forget(self) -> None:
        """People who come, paint, upload and leave."""
        for n in itertools.count(1):
            leaver = LEAVERS + self.round * 1000 + n
            sha = await self.bench.jobs.store_input(Image.new("RGB", (16, 16), (n % 256, 1, 2)), leaver)
            new = asked(
                task="img2img", strength=0.5, init_image=sha, num_images=1, user_id=leaver, interaction_id=leaver
            )
            await self.bench.jobs.submit(new)
            await asyncio.sleep(0.02 * (n % 3))
            await self.privacy.forget(leaver)
            self.acts.note(kind="forgotten", person=leaver)

    async def back_up(self) -> None:
        for n in itertools.count(1):
            made_ms = (self.round * 1000 + n) * 1000  # a name of its own
            args = self.folder, self.folder / "backups", 3, made_ms
            path, _ = await asyncio.to_thread(keeping.make, *args)
            self.acts.note(kind="backup", name=path.name)

    async def tidy(self) -> None:
        reconciler = upkeep(self.bench, self.clock)
        while True:
            await reconciler.once()
            await asyncio.sleep(0.05)


async def main(folder: Path, round_: int) -> None:
    post = FilePost(folder / "discord.jsonl", random.Random(round_))
    engine = FakeEngine(step_s=0.0005)
    async with workbench(folder, SystemClock(), engine=engine, ear=Ear(), post=post, **SETTINGS) as bench:
        life = Life(bench, folder, round_)
        await StrayFiles(bench.store.db, bench.files, life.clock).begin()
        async with asyncio.TaskGroup() as going_on:
            for each in (life.ask, life.give, life.forget, life.back_up, life.tidy):
                going_on.create_task(each())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
