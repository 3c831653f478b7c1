"""What a worker costs a job, and what two of them bring.

    python -m benchmarks.fleet [JOBS]

The engines are fakes, so that what is measured is what Easel adds. First, the processor's time for a picture of
1024 x 1024 and 20 steps of 20 ms, as those of a fast card, with a preview every fourth: by an engine here, by the same
one as a fleet's only member, and beyond a socket with both of its ends here, so that all of it is counted; in turns,
the median of single jobs. Then how many times as many jobs two processes paint as one whose device sleeps, and how
long a grid of four takes them, which they share while they have nothing else to do. At last the same of Mini,
which needs two cores that nothing else wants. And how long short jobs take among long ones, at seven tenths of what
the devices can do: those of one worker, and of two who are asked for twice as much.

What came out is told in `docs/scaling.md`.
"""

from __future__ import annotations

import asyncio
import random
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from statistics import median

from bot.jobs import fanout
from engine.backend import Backend
from engine.fake import MINI, FakeEngine
from engine.fleet import building
from engine.fleet.fleet import Fleet
from engine.fleet.members import Member
from engine.fleet.process import WorkerSpec
from engine.fleet.remote_engine import RemoteEngine
from engine.fleet.serving import Serving
from engine.runtime.engine import Engine
from engine.tasks.txt2img import Txt2Img
from engine.vision.options import VisionOptions
from engine.wire.links import Link, SocketWire
from engine.wire.messages import Setup

LARGE = replace(MINI, max_pixels=1 << 22)
SIDE_PX, STEPS = 1024, 20
STEP_S = 0.02  # of a card that paints 1024 x 1024 in 20 steps within half a second
SLEEP_S = 0.05  # a step of the sleeping device
SHORT, LONG, LONG_SHARE = 4, 40, 0.2  # steps of an evening's jobs, and how many are long
LOAD, EVENING = 0.7, 80  # of what the devices can do, and jobs a worker


def asked(seed: int, side_px: int, steps: int) -> Txt2Img:
    return Txt2Img(prompt="a red boat", width=side_px, height=side_px, num_inference_steps=steps, seed=seed)


@asynccontextmanager
async def beyond_a_socket() -> AsyncIterator[Fleet]:
    """A fleet of one fake engine, which is served at the other end of a socket."""
    here, there = socket.socketpair()
    async with FakeEngine((LARGE,), step_s=STEP_S) as engine:
        serving = asyncio.create_task(Serving(engine, Link(await SocketWire.over(there), "raw")).run())
        remote = RemoteEngine(Link(await SocketWire.over(here), "raw"), lambda: None)
        reading = asyncio.create_task(remote.serve())
        async with Fleet(members=[Member("one", remote)]) as fleet:
            while not fleet.models():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            fleet.changed()
            yield fleet
        await asyncio.gather(serving, reading)


async def processor_s(engine: Backend, seed: int) -> float:
    began = time.process_time()
    await engine.submit(asked(seed, SIDE_PX, STEPS), user="1").result()
    return time.process_time() - began


async def cost(jobs: int) -> None:
    """Tell what the way to a worker takes of a processor."""
    near = FakeEngine((LARGE,), step_s=STEP_S)
    async with (
        FakeEngine((LARGE,), step_s=STEP_S) as alone,
        Fleet(members=[Member("near", near)]) as queued,
        beyond_a_socket() as beyond,
    ):
        took = [[await processor_s(engine, seed) for engine in (alone, queued, beyond)] for seed in range(jobs)]
    alone_ms, queued_ms, beyond_ms = (median(each) * 1e3 for each in zip(*took, strict=True))
    wire_ms, job_ms = beyond_ms - queued_ms, STEPS * STEP_S * 1e3
    print(
        f"a 1024 px job: {alone_ms:.1f} ms of a processor, {queued_ms - alone_ms:.1f} more in a fleet's queue, "
        f"{wire_ms:.1f} more on the way to a worker and back: {wire_ms / job_ms:.1%} of {job_ms:.0f} ms"
    )


SLEEPING = Setup(engine="fake", options={"step_s": SLEEP_S})
(PAINTING,) = (spec.setup for spec in building.specs(["cpu"], {"threads": 1}, VisionOptions()))


@asynccontextmanager
async def running(workers: int, setup: Setup) -> AsyncIterator[Fleet]:
    """So many such processes, all of them there."""
    specs = [WorkerSpec(name=f"worker-{number}", setup=setup) for number in range(workers)]
    async with Fleet(specs, catalogue=FakeEngine() if setup is SLEEPING else Engine()) as fleet:
        while any(member.backend is None for member in fleet.members):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        yield fleet


async def jobs_a_second(fleet: Fleet, jobs: int, side_px: int = 64, steps: int = 4) -> float:
    """Of all workers, busy all the time."""
    asking = [asked(seed, side_px, steps) for seed in range(jobs)]
    began = time.perf_counter()
    await asyncio.gather(*(fleet.submit(each, user=str(each.seed)).result() for each in asking))
    return jobs / (time.perf_counter() - began)


async def of_mini(jobs: int) -> None:
    """Tell what a second worker brings that paints with Mini in a thread of its own; three rounds, in turns."""
    async with running(1, PAINTING) as one, running(2, PAINTING) as two:
        for fleet in (one, two):
            await jobs_a_second(fleet, 4, 256, 2)  # loads it everywhere
        rounds = [(await jobs_a_second(one, jobs, 256, 12), await jobs_a_second(two, jobs, 256, 12)) for _ in range(3)]
    ratios = sorted(more / less for less, more in rounds)
    print(f"Mini: {rounds[0][0]:.2f} jobs a second of one worker; two paint {ratios[1]:.2f} times as many ", end="")
    print(f"({ratios[0]:.2f} to {ratios[2]:.2f})")


async def grid_s(fleet: Fleet) -> float:
    """Of four pictures that somebody asks for while nobody else does; the median of five."""
    took = []
    for seed in range(5):
        request = replace(asked(seed, 64, 20), model=MINI.key, num_images=4)
        began = time.perf_counter()
        await fanout.submit(fleet, [request], user="1", weight=1.0, lane="fast", adults=False).result()
        took.append(time.perf_counter() - began)
    return median(took)


async def short_p95_s(workers: int, seed: int) -> float:
    """Of the short jobs of an evening with long ones among them, 19 in 20 took no longer; asked for at random times."""
    chance, waits = random.Random(seed), list[float]()
    short_s, long_s = SHORT * SLEEP_S, LONG * SLEEP_S
    mean_s = short_s * (1 - LONG_SHARE) + long_s * LONG_SHARE

    async def job(number: int, steps: int) -> None:
        began = time.perf_counter()
        await fleet.submit(asked(number, 64, steps), user=str(number % 7)).result()
        if steps == SHORT:
            waits.append(time.perf_counter() - began)

    async with running(workers, SLEEPING) as fleet, asyncio.TaskGroup() as evening:
        for number in range(workers * EVENING):
            evening.create_task(job(number, LONG if chance.random() < LONG_SHARE else SHORT))
            await asyncio.sleep(chance.expovariate(workers * LOAD / mean_s))
    return sorted(waits)[int(0.95 * len(waits))]


async def of_short_jobs() -> None:
    """Tell whether sharing two devices costs short jobs anything; three evenings."""
    evenings = [(await short_p95_s(1, seed), await short_p95_s(2, seed)) for seed in range(3)]
    told = ", ".join(f"{one:.2f} and {two:.2f}" for one, two in evenings)
    print(f"short jobs among long ones, nine and a half of ten within so many seconds by one and by two: {told}")


async def main() -> None:
    """Each figure once."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    await cost(jobs)
    rates, grids = [], []
    for workers in (1, 2):
        async with running(workers, SLEEPING) as fleet:
            rates.append(await jobs_a_second(fleet, jobs))
            grids.append(await grid_s(fleet))
    print(f"a sleeping device: {rates[0]:.2f} jobs a second of one worker, {rates[1]:.2f} of two: ", end="")
    print(f"{rates[1] / rates[0]:.3f} times; a grid of four in {grids[0]:.2f} s by one, {grids[1]:.2f} s by two")
    await of_short_jobs()
    await of_mini(jobs)


if __name__ == "__main__":
    asyncio.run(main())
