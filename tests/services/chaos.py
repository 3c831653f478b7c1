"""A process to be killed: takes jobs, notes which it acknowledged, delivers into a file that plays Discord.

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

from workbench import Ear, asked, workbench

from bot.jobs.outbox import Receipt
from bot.jobs.records import Job, OutboxEntry, StoredImage
from bot.store.clock import SystemClock
from engine.fake import FakeEngine

ALLOWANCE_CREDITS = 10**6
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


async def main(folder: Path, round_: int) -> None:
    dice = random.Random(round_)
    acks = Ledger(folder / "acks.jsonl")
    post = FilePost(folder / "discord.jsonl", dice)
    engine = FakeEngine(step_s=0.0005)
    async with workbench(folder, SystemClock(), engine=engine, ear=Ear(), post=post, **SETTINGS) as bench:
        for n in itertools.count(1):
            token = "secret" if n % 3 else ""  # every third job has nothing to edit: its message is made, by nonce
            who = {"interaction_id": round_ * 10**6 + n, "user_id": 1 + n % 5, "reply_token": token}
            new = asked(num_images=1 + n % 2, seed=n, **who)
            job = await bench.jobs.submit(new)
            acks.note(interaction=new.interaction_id, job=job.id)
            if n % 3:
                await bench.store.bind_message(job.id, MESSAGE + job.id)
            if n % 7 == 0:
                await bench.jobs.cancel(job.id, by=job.user_id)
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
