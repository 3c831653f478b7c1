"""A day of a large community in virtual time: the real fleet over simulated cards. Nothing is painted.

    python -m benchmarks.fleet_simulation [SECONDS]

64 workers, 10,000 members in 1,000 servers, 20 models of which a card holds three at a time. Each server has a model
that most of its jobs use, and some models are used by many servers. Members ask, wait, and ask again after a while:
more than the cards can paint, as on a busy evening. Told are how much of the cards' time is painting, how often a model
has to be loaded, what parts of the cards servers get that ask alike, and what the scheduler takes of one processor.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import sys
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean, quantiles
from types import SimpleNamespace
from typing import Any

from engine.api.events import Cancelled, Finished, Loading, Progress, Started
from engine.api.model_info import ModelInfo
from engine.api.tickets import JobTicket
from engine.backend import EngineStatus
from engine.fake import MINI
from engine.fleet import carrying, fleet, members
from engine.fleet.fleet import Fleet
from engine.fleet.members import Member
from engine.tasks.txt2img import Txt2Img

WORKERS, MEMBERS, SERVERS, MODELS = 64, 10_000, 1000, 20
HELD_MODELS, LOAD_S, STEP_S = 3, 15.0, 0.5  # seconds of four pictures at once
GRID = 4  # pictures of a job
STEPS = (4, 8, 20, 30)
THINKS_S = 900.0  # from a picture to the next wish, on average
ALL_ASK_S = 300.0  # until everybody has asked once: four times as much as the cards can paint
WARM_S = 60.0  # until every card is at work, and models are where they are used
OWN_MODEL = 0.8  # of a server's jobs use its own model
IN_THE_FLEET = 4 * WORKERS  # jobs at once; the others wait in the database
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


class Card:
    """A worker that paints one job after the other, in the order in which it got them."""

    def __init__(self) -> None:
        self._loaded: OrderedDict[str, None] = OrderedDict()
        self._queue: deque[tuple[Txt2Img, JobTicket]] = deque()
        self._asked, self._running = asyncio.Event(), 0
        self.painted_s = self.loaded_s = 0.0
        self.loads = self.jobs = 0

    def models(self) -> tuple[ModelInfo, ...]:
        return INFOS

    def left_out(self) -> tuple[()]:
        return ()

    def abilities(self) -> frozenset[Any]:
        return frozenset()

    def status(self) -> EngineStatus:
        return EngineStatus(loaded=tuple(self._loaded), facts={"rounds": 1}, running=self._running)

    def submit(self, request: Txt2Img, **_: Any) -> JobTicket:
        ticket = JobTicket(lambda: self._drop(job))
        job = request, ticket
        self._queue.append(job)
        self._asked.set()
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
        while True:
            while not self._queue:
                self._asked.clear()
                await self._asked.wait()
            await self._paint(*self._queue.popleft())

    async def _paint(self, request: Txt2Img, ticket: JobTicket) -> None:
        if request.model not in self._loaded:
            ticket.publish(Loading(model=request.model, stage="load", done_bytes=0, total_bytes=0))
            await asyncio.sleep(LOAD_S)
            self.loads, self.loaded_s = self.loads + 1, self.loaded_s + LOAD_S
            self._loaded[request.model] = None
            if len(self._loaded) > HELD_MODELS:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(request.model)
        ticket.publish(Started())
        steps = request.num_inference_steps or 1
        for half in (1, 2):
            await asyncio.sleep(steps / 2 * STEP_S)
            ticket.publish(Progress(step=half * steps * GRID // 2, steps=steps * GRID))
        self.painted_s, self.jobs = self.painted_s + steps * STEP_S, self.jobs + 1
        ticket.publish(Finished(wait_s=0.0, run_s=0.0))


class Community:
    """Members who ask, and the queue in front of the fleet."""

    def __init__(self, over: Fleet) -> None:
        self._fleet, self._dice = over, random.Random(7)
        self._room = asyncio.Semaphore(IN_THE_FLEET)
        popular = [1 / (rank + 1) for rank in range(MODELS)]
        self._models = self._dice.choices(INFOS, popular, k=SERVERS)
        self._popular = popular
        self.served: Counter[int] = Counter()  # seconds by server
        self.waits_s: list[float] = []

    def forget(self) -> None:
        self.served.clear()
        self.waits_s.clear()

    async def live(self) -> None:
        await asyncio.gather(*(self._member(number) for number in range(MEMBERS)))

    async def _member(self, number: int) -> None:
        loop, server = asyncio.get_running_loop(), number % SERVERS
        await asyncio.sleep(self._dice.uniform(0, ALL_ASK_S))
        while True:
            asked_at, steps = loop.time(), self._dice.choice(STEPS)
            async with self._room:
                await self._fleet.submit(self._wish(server, steps), user=str(number)).result()
            self.waits_s.append(loop.time() - asked_at)
            self.served[server] += steps * STEP_S
            await asyncio.sleep(self._dice.expovariate(1 / THINKS_S))

    def _wish(self, server: int, steps: int) -> Txt2Img:
        own = self._dice.random() < OWN_MODEL
        info = self._models[server] if own else self._dice.choices(INFOS, self._popular)[0]
        return Txt2Img(
            prompt="x", model=info.key, width=64, height=64, num_inference_steps=steps, num_images=GRID, seed=1
        )


async def evening(seconds: float) -> None:
    """Tell how it went for so long, once all cards were at work."""
    cards = [Card() for _ in range(WORKERS)]
    async with Fleet(members=[Member(f"card-{n}", card) for n, card in enumerate(cards)]) as over:  # type: ignore[arg-type]
        community = Community(over)
        living = asyncio.create_task(community.live())
        await asyncio.sleep(WARM_S)
        community.forget()
        before, began_cpu = _work(cards), time.process_time()
        await asyncio.sleep(seconds)
        after, cpu_s = _work(cards), time.process_time() - began_cpu
        _tell([end - begin for begin, end in zip(before, after, strict=True)], seconds, cpu_s, community)
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)


def _work(cards: Sequence[Card]) -> list[float]:
    return [sum(each.painted_s for each in cards), sum(each.loads for each in cards), sum(each.jobs for each in cards)]


def _tell(work: Sequence[float], spent_s: float, cpu_s: float, community: Community) -> None:
    painted_s, loads, jobs = work
    parts = [community.served[server] for server in range(SERVERS)]
    print(f"{jobs:.0f} jobs in {spent_s:.0f} s: {jobs / spent_s:.1f} a second")
    print(f"painting {painted_s / (WORKERS * spent_s):.3f} of the cards' time, {loads / jobs:.4f} loads a job")
    print(f"servers' parts, 5 % least to 5 % most: {_spread(parts)} of the mean {mean(parts):.0f} s")
    print(
        f"from asking to having it: half within {quantiles(community.waits_s, n=20)[9]:.0f} s, 95 % within "
        f"{quantiles(community.waits_s, n=20)[18]:.0f} s"
    )
    print(f"of a processor: {cpu_s / jobs * 1e3:.1f} ms a job")


def _spread(parts: Sequence[float]) -> str:
    cuts = quantiles(parts, n=20)
    return f"{cuts[0] / mean(parts):.2f} to {cuts[-1] / mean(parts):.2f}"


def main() -> None:
    """One evening."""
    loop = VirtualLoop()
    for module in (fleet, members, carrying):
        module.time = SimpleNamespace(perf_counter=loop.time, monotonic=loop.time)  # type: ignore[attr-defined]
    loop.run_until_complete(evening(float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0))


if __name__ == "__main__":
    main()
