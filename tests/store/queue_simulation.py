"""A shop full of people at the real queue, in virtual time: nothing is slept, nothing is random but by seed."""

from __future__ import annotations

import heapq
import itertools
import random
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace

from bot.errors import Busy, TooManyJobs
from bot.jobs import lifecycle, queue
from bot.jobs.records import Lane, NewImage, NewJob, StoredFile
from bot.ledger.records import Limits
from bot.store.migrations import immediate, shipped, statements
from tests.specs import spec_of

SERVICE_S = 10.0  # of one grid in the engine
SIZES = (1, 1, 2, 3)  # what people ask for, in grids
SPEC = spec_of(
    prompt="x", width=512, height=512, num_inference_steps=20, guidance_scale=4, scheduler="euler", seed=1, model="mini"
)


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """Somebody asks for a job `at_s`; `weight` and `lane` are what they ask with."""

    at_s: float
    user: int
    weight: float = 1.0
    lane: Lane = "fast"
    size: int = 1  # in grids
    server: int = 1


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    """An empty one, without the waiting for the disk."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        for step in shipped():
            for statement in statements(step.sql):
                db.execute(statement)
        yield db


class Shop:
    """The queue's functions as the dispatcher calls them, with `slots` jobs in the engine at once."""

    def __init__(self, db: sqlite3.Connection, slots: int, max_running: int = 64, max_server_queue: int = 9999) -> None:
        self._db, self._slots = db, slots
        self._limits = Limits(
            max_queued=100, max_queue=9999, max_server_queue=max_server_queue, max_running=max_running
        )
        self._numbers = itertools.count(1)
        self._asked: dict[int, Arrival] = {}
        self.waits: dict[int, list[float]] = defaultdict(list)
        self.served: list[int] = []

    def open(self, arrivals: Iterable[Arrival], until_s: float) -> None:
        """Serve what arrives until then; response times (waiting and painting) are in `waits` by person."""
        events: list[tuple[float, int, Arrival | int]] = [(each.at_s, next(self._numbers), each) for each in arrivals]
        heapq.heapify(events)
        running = 0
        while events and events[0][0] <= until_s:
            now_s, _, what = heapq.heappop(events)
            if isinstance(what, Arrival):
                self._ask(what, now_s)
            else:
                self._end(what, now_s)
                running -= 1
            for job_id in self._claim(self._slots - running, now_s):
                running += 1
                end_s = now_s + SERVICE_S * self._asked[job_id].size
                heapq.heappush(events, (end_s, next(self._numbers), job_id))

    def _ask(self, who: Arrival, now_s: float) -> None:
        spec = SPEC.evolve(num_inference_steps=SPEC.num_inference_steps * who.size)
        new = NewJob(
            interaction_id=next(self._numbers), guild_id=who.server, channel_id=1, user_id=who.user, spec=spec,
            price_mc=0, application_id=1, reply_token="", lane=who.lane,
        )  # fmt: skip
        with suppress(Busy, TooManyJobs), immediate(self._db):
            [job] = lifecycle.enqueue_all(
                self._db, (new,), 0, replace(self._limits, weight=who.weight), int(now_s * 1000)
            )
            self._asked[job.id] = replace(who, at_s=now_s)

    def _claim(self, room: int, now_s: float) -> list[int]:
        with immediate(self._db):
            claimed = queue.claim(self._db, "boot", room, int(now_s * 1000)) if room else []
        self.served += [job.user_id for job in claimed]
        return [job.id for job in claimed]

    def _end(self, job_id: int, now_s: float) -> None:
        file = StoredFile(path=f"{job_id}.png", sha256=f"{job_id:064x}", bytes=1)
        image = NewImage(ordinal=0, seed=1, file=file, width=8, height=8)
        with immediate(self._db):
            lifecycle.rendered(self._db, job_id, "boot", (image,), int(now_s * 1000))
        who = self._asked[job_id]
        self.waits[who.user].append(now_s - who.at_s)


def visitors(users: Iterable[int], every_s: float, until_s: float, seed: int) -> list[Arrival]:
    """People who ask now and then, `every_s` seconds on average."""
    found = []
    for user in users:
        dice, at_s = random.Random(seed * 1000 + user), 0.0
        while (at_s := at_s + dice.expovariate(1 / every_s)) < until_s:
            found.append(Arrival(at_s, user, size=dice.choice(SIZES)))
    return found


def p95(times: list[float]) -> float:
    return sorted(times)[int(0.95 * len(times))]
