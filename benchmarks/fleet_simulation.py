"""An evening of a large community in virtual time: the bot's own queue and fleet over simulated cards. Paints nothing.

    python -m benchmarks.fleet_simulation [SECONDS [WORKERS]]

64 workers, 10,000 members in 1,000 servers, 20 models of which a card holds three at a time. Each server has a model
that most of its jobs use, and some models are used by many servers. Members ask, wait, and ask again after a while:
more than the cards can paint, as on a busy evening. With fewer workers there are fewer servers in proportion.

Jobs wait in SQLite and are claimed by the bot's own function, as many as the bot hands over with so many workers; its
`Fleet` decides which card gets them. A card paints one job at a time, those first that came first, and reads a model
beside that, as the engine does. Told are how much of the cards' time is painting, how often a model has to be loaded,
what parts of the cards servers get that ask for more, and what the scheduler and the queue take of one processor.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean, quantiles
from types import SimpleNamespace
from typing import Any

from benchmarks.queueing import FREE_MC, LIMITS, connection
from bot.config import Settings
from bot.jobs import lifecycle, queue
from bot.jobs.records import Job, NewImage, NewJob, StoredFile
from bot.prompt.spec import Spec
from bot.store.connection import immediate
from engine.api.events import Cancelled, Finished, Loading, Progress, Started
from engine.api.model_info import ModelInfo
from engine.api.tickets import JobTicket
from engine.backend import EngineStatus
from engine.fake import MINI
from engine.fleet import carrying, fleet, members
from engine.fleet.fleet import Fleet
from engine.fleet.members import Member
from engine.tasks.txt2img import Txt2Img

WORKERS, MODELS = 64, 20
SERVERS_A_WORKER = 1000 / 64
SIZES = (2, 4, 9, 25)  # members of a server, each size as often: ten on average
HELD_MODELS, LOAD_S, STEP_S = 3, 15.0, 0.5  # seconds of four pictures at once
GRID = 4  # pictures of a job
STEPS = (4, 8, 20, 30)
THINKS_S = 300.0  # from a picture to the next wish, on average
ALL_ASK_S = 300.0  # until everybody has asked once: four times as much as the cards can paint
WARM_S = 600.0  # until every card is at work, and models are where they are used
OWN_MODEL = 0.8  # of a server's jobs use its own model
BOOT = "simulated"
WISH = Txt2Img(prompt="x", width=64, height=64, guidance_scale=4.0, scheduler="euler", num_images=GRID, seed=1)
PICTURE = NewImage(ordinal=0, seed=0, file=StoredFile(path="", sha256="", bytes=0), width=64, height=64)
INFOS = tuple(replace(MINI, key=f"model-{number}") for number in range(MODELS))


class Jumping(selectors.DefaultSelector):
    """Never waits: the clock jumps to when something is due."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now_s += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = Jumping()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now_s


@contextmanager
def in_virtual_time(loop: VirtualLoop) -> Iterator[None]:
    """The fleet's clock is the loop's."""
    modules = (fleet, members, carrying)
    for module in modules:
        module.time = SimpleNamespace(perf_counter=loop.time, monotonic=loop.time)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in modules:
            module.time = time  # type: ignore[attr-defined]


class Card:
    """A worker that paints one job at a time, and loads one model at a time beside that."""

    def __init__(self) -> None:
        self._models: list[str] = []  # in memory, the one that was used last at the end
        self._loading = self._painting = ""
        self._queue: list[tuple[Txt2Img, JobTicket]] = []
        self._changed = asyncio.Event()
        self._load: asyncio.Task[None] | None = None
        self.painted_s = self.stood_s = 0.0  # stood: while there were jobs, of which no model was there
        self.loads = self.jobs = 0

    def models(self) -> tuple[ModelInfo, ...]:
        return INFOS

    def left_out(self) -> tuple[()]:
        return ()

    def abilities(self) -> frozenset[Any]:
        return frozenset()

    def status(self) -> EngineStatus:
        return EngineStatus(loaded=tuple(self._models), facts={"rounds": 1}, running=int(bool(self._painting)))

    def submit(self, request: Txt2Img, **_: Any) -> JobTicket:
        ticket = JobTicket(lambda: self._drop(job))
        job = request, ticket
        self._queue.append(job)
        self._changed.set()
        self._begin_load()
        return ticket

    def _drop(self, job: tuple[Txt2Img, JobTicket]) -> None:
        if job in self._queue:
            self._queue.remove(job)
            job[1].publish(Cancelled())

    async def start(self) -> None:
        self._serving = asyncio.create_task(self._serve())

    async def close(self, grace_s: float = 0.0) -> None:
        self._serving.cancel()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            job = next((each for each in self._queue if each[0].model in self._models), None)
            if job is not None:
                await self._paint(*job)
                continue
            stands, since = bool(self._queue), loop.time()
            self._changed.clear()
            await self._changed.wait()
            self.stood_s += loop.time() - since if stands else 0.0

    def _begin_load(self) -> None:
        """Load what the first job needs whose model isn't there, if one of the others may go."""
        needed = next((job for job in self._queue if job[0].model not in self._models), None)
        if needed is None or self._loading:
            return
        if len(self._models) == HELD_MODELS:
            self._models.remove(next(each for each in self._models if each != self._painting))
        self._loading = needed[0].model
        for request, ticket in self._queue:
            if request.model == self._loading:
                ticket.publish(Loading(model=request.model, stage="load", done_bytes=0, total_bytes=0))
        self._load = asyncio.create_task(self._finish_load())

    async def _finish_load(self) -> None:
        await asyncio.sleep(LOAD_S)
        self._models.append(self._loading)
        self.loads, self._loading = self.loads + 1, ""
        self._changed.set()
        self._begin_load()

    async def _paint(self, request: Txt2Img, ticket: JobTicket) -> None:
        self._queue.remove((request, ticket))
        self._painting = request.model
        self._models.remove(request.model)
        self._models.append(request.model)
        ticket.publish(Started())
        steps = request.num_inference_steps or 1
        for step in range(1, steps + 1):
            await asyncio.sleep(STEP_S)
            self.painted_s += STEP_S
            ticket.publish(Progress(step=step * GRID, steps=steps * GRID))
        self.jobs, self._painting = self.jobs + 1, ""
        ticket.publish(Finished(wait_s=0.0, run_s=0.0))


class Community:
    """Members who ask, and the bot: its queue in SQLite, and how it hands jobs to the fleet."""

    def __init__(self, over: Fleet, db: sqlite3.Connection, workers: int) -> None:
        self._fleet, self._db, self._dice = over, db, random.Random(7)
        self.servers = round(SERVERS_A_WORKER * workers)
        self._room = Settings(discord_token="none").max_running * workers  # type: ignore[arg-type]
        self._popular = [1 / (rank + 1) for rank in range(MODELS)]
        self._models = self._dice.choices(INFOS, self._popular, k=self.servers)
        self._ended: dict[int, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked = 0
        self.forget()

    def forget(self) -> None:
        self.served: Counter[int] = Counter()  # seconds by server
        self.waits_s: dict[int, list[float]] = {size: [] for size in SIZES}
        self.queue_cpu_s = 0.0

    def size(self, server: int) -> int:
        return SIZES[server % len(SIZES)]

    async def live(self) -> None:
        homes = [server for server in range(self.servers) for _ in range(self.size(server))]
        await asyncio.gather(*(self._member(number, server) for number, server in enumerate(homes)))

    async def _member(self, number: int, server: int) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._dice.uniform(0, ALL_ASK_S))
        while True:
            asked_at = loop.time()
            await self._ask(number, server)
            self.waits_s[self.size(server)].append(loop.time() - asked_at)
            await asyncio.sleep(self._dice.expovariate(1 / THINKS_S))

    async def _ask(self, number: int, server: int) -> None:
        self._asked += 1
        new = NewJob(
            interaction_id=self._asked,
            guild_id=server + 1,
            channel_id=1,
            user_id=number + 1,
            spec=Spec(request=self._wish(server)),
            price_mc=GRID,
            application_id=1,
            reply_token="none",
        )
        with self._timed():
            (job,) = lifecycle.enqueue_all(self._db, (new,), FREE_MC, LIMITS, self._now_ms())
        self._ended[job.id] = asyncio.Event()
        self._fill()
        await self._ended[job.id].wait()

    def _wish(self, server: int) -> Txt2Img:
        own = self._dice.random() < OWN_MODEL
        info = self._models[server] if own else self._dice.choices(INFOS, self._popular)[0]
        steps = self._dice.choice(STEPS)
        return replace(WISH, model=info.key, num_inference_steps=steps)

    # ------------------------------------------------------------ the bot
    def _now_ms(self) -> int:
        return 1 + int(asyncio.get_running_loop().time() * 1000)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """One transaction, and the processor's time that it took."""
        began = time.process_time()
        with immediate(self._db):
            yield
        self.queue_cpu_s += time.process_time() - began

    def _fill(self) -> None:
        """Hand over as many as there is room for, as the dispatcher does."""
        if self._room > 0:
            with self._timed():
                claimed = queue.claim(self._db, BOOT, self._room, self._now_ms())
            self._room -= len(claimed)
            for job in claimed:
                task = asyncio.create_task(self._carry(job))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _carry(self, job: Job) -> None:
        request = job.spec.request
        await self._fleet.submit(request, user=str(job.user_id), weight=job.weight, lane=job.lane).result()
        self.served[job.guild_id - 1] += (request.num_inference_steps or 0) * STEP_S
        with self._timed():
            pictures = tuple(replace(PICTURE, ordinal=number, seed=number) for number in range(GRID))
            lifecycle.rendered(self._db, job.id, BOOT, tuple(map(partial(_stored, job.id), pictures)), self._now_ms())
        self._room += 1
        self._fill()
        self._ended.pop(job.id).set()

    async def leave(self, living: asyncio.Task[None]) -> None:
        """Nobody waits for anything any more."""
        ending = [living, *self._tasks]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)


def _stored(job_id: int, picture: NewImage) -> NewImage:
    return replace(picture, file=StoredFile(path=f"{job_id}-{picture.ordinal}.png", sha256="00" * 32, bytes=9))


async def evening(seconds: float, workers: int, db: sqlite3.Connection) -> None:
    """Tell how it went for so long, once all cards were at work."""
    cards = [Card() for _ in range(workers)]
    async with Fleet(members=[Member(f"card-{n}", card) for n, card in enumerate(cards)]) as over:  # type: ignore[arg-type]
        community = Community(over, db, workers)
        living = asyncio.create_task(community.live())
        await asyncio.sleep(WARM_S)
        community.forget()
        before, began_cpu = _work(cards), time.process_time()
        await asyncio.sleep(seconds)
        spent = time.process_time() - began_cpu
        _tell([end - begin for begin, end in zip(before, _work(cards), strict=True)], seconds * workers, community)
        jobs = sum(map(len, community.waits_s.values()))
        print(f"of a processor: {community.queue_cpu_s / jobs * 1e3:.1f} ms a job for the queue in SQLite, ", end="")
        print(f"{(spent - community.queue_cpu_s) / jobs * 1e3:.1f} ms for the fleet, and for what simulates the rest")
        await community.leave(living)


def _work(cards: Sequence[Card]) -> list[float]:
    return [sum(getattr(each, name) for each in cards) for name in ("painted_s", "stood_s", "loads", "jobs")]


def _tell(work: Sequence[float], card_s: float, community: Community) -> None:
    painted_s, stood_s, loads, jobs = work
    print(f"{jobs:.0f} jobs, {loads / jobs:.4f} loads of a model a job")
    print(
        f"of the cards' time {painted_s / card_s:.3f} painting, {stood_s / card_s:.3f} waiting for a model", flush=True
    )
    for size in SIZES:
        parts = [community.served[each] for each in range(community.servers) if community.size(each) == size]
        waits = quantiles(community.waits_s[size], n=20)
        spread = quantiles(parts, n=20)
        print(
            f"servers of {size} members: {mean(parts):.0f} s of a card each, nine of ten {spread[0]:.0f} to "
            f"{spread[-1]:.0f}; from asking to having it half within {waits[9]:.0f} s, 95 % within {waits[18]:.0f} s"
        )


def main() -> None:
    """One evening."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 900.0
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else WORKERS
    loop = VirtualLoop()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(connection(Path(folder) / "easel.db")) as db,
        in_virtual_time(loop),
    ):
        db.execute("PRAGMA synchronous = OFF")  # what the disk takes is measured elsewhere
        loop.run_until_complete(evening(seconds, workers, db))


if __name__ == "__main__":
    main()
