"""What Ray Serve would do in the place of Easel's own workers: two replicas on two nodes of this machine.

    pip install "ray[serve]"    # not one of Easel's dependencies
    python -m benchmarks.ray_serve

A replica paints as a worker with a fake engine does: steps of a device that sleeps, then a picture. The questions are
those that Easel's workers are tested with: what two bring that one doesn't; jobs while a replica is killed, while the
bot is, while replicas come and go, and while a node is lost. Every job has to be had once, to the picture of its seed.

What came out is told in `docs/scaling.md`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.cluster_utils import Cluster
from ray.exceptions import RayError

from engine.fake import paint

STEPS, STEP_S, SIDE_PX = 10, 0.1, 64
AT_ONCE = 4  # jobs that are asked for at a time
QUIET: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 100 << 20}
APP = "painters"


@serve.deployment(max_ongoing_requests=1, health_check_period_s=1.0, ray_actor_options={"num_cpus": 0})
class Painter:
    """A card."""

    async def paint(self, seed: int) -> AsyncIterator[tuple[str, Any]]:
        """Tells each step, then the pixels."""
        yield "process", os.getpid()
        for step in range(STEPS):
            await asyncio.sleep(STEP_S)
            yield "step", step + 1
        yield "picture", paint(seed, SIDE_PX, SIDE_PX).tobytes()


async def had(handle: Any, seed: int, seen: Counter[int]) -> int:
    """One job, asked for again for as long as whoever paints it ends. Returns how often it was begun."""
    for tries in range(1, 100):
        try:
            async for kind, told in handle.paint.options(stream=True).remote(seed):
                if kind == "process":
                    seen[told] += 1
                if kind == "picture":
                    assert told == paint(seed, SIDE_PX, SIDE_PX).tobytes()
                    return tries
        except RayError:
            await asyncio.sleep(0.1)
    raise AssertionError(f"job {seed} was never done")


async def evening(handle: Any, jobs: int, *events: tuple[float, Callable[[Counter[int]], Any]]) -> str:
    """So many jobs, a few at a time, while things happen after so many seconds."""
    seen: Counter[int] = Counter()
    begun: dict[int, int] = {}
    waits: list[float] = []
    turns = asyncio.Semaphore(AT_ONCE)

    async def job(seed: int) -> None:
        async with turns:
            asked_at = time.monotonic()
            begun[seed] = begun.get(seed, 0) + await had(handle, seed, seen)
            waits.append(time.monotonic() - asked_at)

    async def happen(after_s: float, what: Callable[[Counter[int]], Any]) -> None:
        await asyncio.sleep(after_s)
        await asyncio.to_thread(what, seen)

    began = time.monotonic()
    await asyncio.gather(*(job(seed) for seed in range(jobs)), *(happen(*event) for event in events))
    took = time.monotonic() - began
    again = sum(begun.values()) - jobs
    return f"{jobs} jobs, each had once, {again} begun again, {jobs / took:.2f} a second, longest {max(waits):.1f} s"


def deploy(replicas: int) -> Any:
    """Have so many, each on a card of its own."""
    options = {"num_cpus": 0, "resources": {"card": 1}}
    painter = Painter.options(num_replicas=replicas, ray_actor_options=options)
    return serve.run(painter.bind(), name=APP, route_prefix=None)


def kill_one(seen: Counter[int]) -> None:
    os.kill(max(seen), signal.SIGKILL)


def told(what: str, began: float, said: str) -> None:
    print(f"{what}: {said} ({time.monotonic() - began:.0f} s)", flush=True)


async def ask(done: Path, before: set[int], jobs: int) -> None:
    """The bot: notes what it has had, and asks for the rest."""
    handle = serve.get_app_handle(APP)
    turns = asyncio.Semaphore(AT_ONCE)

    async def job(seed: int) -> None:
        async with turns:
            await had(handle, seed, Counter())
            with done.open("a") as file:
                file.write(f"{seed}\n")

    await asyncio.gather(*(job(seed) for seed in range(jobs) if seed not in before))


def restart_the_bot(address: str, jobs: int) -> str:
    """kill -9 of whoever asks, while replicas paint; then another one."""
    with tempfile.TemporaryDirectory() as folder:
        done = Path(folder) / "done"
        done.touch()
        command = [sys.executable, "-m", "benchmarks.ray_serve", address, str(done), str(jobs)]
        first = subprocess.Popen(command)
        while len(done.read_text().splitlines()) < jobs // 4 and first.poll() is None:
            time.sleep(0.05)
        first.kill()
        first.wait()
        had_by_then, killed_at = len(done.read_text().splitlines()), time.monotonic()
        subprocess.run(command, check=True)
        had_in_all = sorted(map(int, done.read_text().splitlines()))
    assert had_in_all == list(range(jobs))
    return f"{had_by_then} of {jobs} jobs had, then the rest, each once, {time.monotonic() - killed_at:.1f} s later"


def main() -> None:
    """Each question once."""
    if len(sys.argv) > 1:
        ray.init(address=sys.argv[1], log_to_driver=False)
        done = Path(sys.argv[2])
        asyncio.run(ask(done, set(map(int, done.read_text().splitlines())), int(sys.argv[3])))
        return
    began = time.monotonic()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **QUIET})
    nodes = [cluster.add_node(num_cpus=1, resources={"card": 1}, object_store_memory=100 << 20) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)
    serve.start(proxy_location="Disabled")  # its own proxy for HTTP isn't needed
    told("a cluster of a head and two nodes", began, "is there")
    handle = deploy(1)
    told("one replica", began, asyncio.run(evening(handle, 10)))
    handle = deploy(2)
    told("two replicas", began, asyncio.run(evening(handle, 20)))
    told("one is killed", began, asyncio.run(evening(handle, 30, (3.0, kill_one))))
    told("the bot is killed", began, restart_the_bot(cluster.address, 24))
    ups_and_downs = ((2.0, lambda _: deploy(1)), (12.0, lambda _: deploy(2)))
    told("one is taken away and given back", began, asyncio.run(evening(handle, 40, *ups_and_downs)))
    lost = (3.0, lambda _: cluster.remove_node(nodes[1], allow_graceful=False))
    told("a node is lost", began, asyncio.run(evening(handle, 30, lost)))
    serve.shutdown()
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main()
