"""Workers that Ray Serve runs, on a cluster of a head and two nodes, all on this machine.

    pip install '.[ray]'
    python -m benchmarks.ray_cluster

All is as it ships, the bot's fleet, its door and what scales the workers, but that workers paint with a fake engine:
steps of a device that sleeps, then the picture of a seed. The questions are those that Easel's own workers are tested
with: what two bring that one doesn't; a worker killed, the bot killed, workers that come and go with the load, a node
lost. Each job has to be had once, to the picture of its seed.

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
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from bot.features.region.editor_server import EditorServer
from bot.features.workers.cluster import cluster as clusters
from bot.features.workers.cluster import scaling, serve_api
from bot.features.workers.cluster.cluster import Cluster
from bot.features.workers.cluster.serve_api import ServeApi
from bot.features.workers.page import WorkerPage
from engine.api.events import Failed, ImageReady
from engine.fake import FakeEngine, paint
from engine.fleet.fleet import Fleet
from engine.fleet.machines import dialing
from engine.fleet.machines.ray_address import RayAddress
from engine.fleet.machines.remembering import Remembered
from engine.tasks.txt2img import Txt2Img
from engine.wire.messages import PROTOCOL

STEPS, STEP_S, SIDE_PX = 10, 0.1, 64
AT_ONCE = 4  # jobs that are asked for at a time
DASHBOARD, DOOR = 8299, 8298
NODE: dict[str, Any] = {"object_store_memory": 100 << 20, "num_cpus": 1}


def app(args: dict[str, str]) -> Any:
    """What Serve runs here: as `replica.app` does, with a fake engine."""
    from ray import serve  # only where it runs

    from bot.features.workers.cluster.replica import Served

    class Sleeper(Served):
        async def _paint(self) -> None:
            async with FakeEngine(step_s=STEP_S) as engine:
                await dialing.join(self._address, self._token, engine, self._leaving, 5.0)

    return serve.deployment(name=serve_api.DEPLOYMENT)(Sleeper).bind(args["address"], args["token"])


class Counting(Fleet):
    """Counts the jobs that had been begun by workers that ended."""

    struck = 0

    def down(self, name: str, why: str, *, crashed: bool, hopeless: bool) -> None:
        self.struck += sum(job.started is not None for job in self.member(name).held.values())
        super().down(name, why, crashed=crashed, hopeless=hopeless)


class Nobody:
    """No mask editor."""

    async def open(self, token: str) -> None: ...
    async def picture(self, token: str) -> None: ...
    async def welcomes(self, token: str) -> None: ...
    async def send(self, token: str, mask: bytes, prompt: str, *, agreed: bool) -> None: ...


class Bot:
    """What of a bot has to do with workers. `limits`: as in an address, such as 1-2."""

    def __init__(self, folder: Path, limits: str) -> None:
        self.fleet, self._folder = Counting(memory=Remembered(folder)), folder
        self._page = WorkerPage(self.fleet, folder)
        pages = {WorkerPage.PATH: self._page.answer}
        self._server = EditorServer(Nobody(), host="127.0.0.1", port=DOOR, address="auto", pages=pages)
        address = RayAddress.parse(f"ray://127.0.0.1:{DASHBOARD}?workers={limits}&gpus=1")
        self.api = ServeApi(address.url)
        self.cluster = Cluster(address, self.api, self._load, self._alert, grace_s=5.0, protocol=PROTOCOL)

    def _load(self) -> scaling.Load:
        fleet = self.fleet
        return scaling.Load(jobs=len(fleet.jobs), work_s=fleet.left_s(), known=len(fleet.models()))

    async def _alert(self, why: str) -> None:
        print(why, flush=True)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bot]:
        """From its start to an orderly end."""
        async with self.fleet:
            address = await self._server.start()
            token = await clusters.token_for(self._folder, "easel")
            self.cluster.start(dialing.address_of(address), token)
            try:
                yield self
            finally:
                await self.cluster.stop()
                await self._page.close()
                await self._server.stop()

    async def has(self, count: int) -> None:
        """Wait for so many workers, no more and no fewer."""
        while sum(member.backend is not None for member in self.fleet.members) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def had(self, seed: int) -> float:
        """One job, and how long it took. Raises: AssertionError where its picture is another one's."""
        began, pictures = time.monotonic(), []
        request = Txt2Img(prompt="x", width=SIDE_PX, height=SIDE_PX, num_inference_steps=STEPS, seed=seed, model="mini")
        async for event in self.fleet.submit(request):
            assert not isinstance(event, Failed), event
            if isinstance(event, ImageReady):
                pictures.append(event.image.tobytes())
        assert pictures == [paint(seed, SIDE_PX, SIDE_PX).tobytes()], f"job {seed}: {len(pictures)} pictures"
        return time.monotonic() - began

    async def evening(self, jobs: int, *events: tuple[float, Callable[[], Awaitable[object]]]) -> str:
        """So many jobs, a few at a time, while things happen after so many seconds."""
        turns, waits = asyncio.Semaphore(AT_ONCE), list[float]()

        async def job(seed: int) -> None:
            async with turns:
                waits.append(await self.had(seed))

        async def happen(after_s: float, what: Callable[[], Awaitable[object]]) -> None:
            await asyncio.sleep(after_s)
            await what()

        began, struck = time.monotonic(), self.fleet.struck
        await asyncio.gather(*(job(seed) for seed in range(jobs)), *(happen(*event) for event in events))
        took = time.monotonic() - began
        again = self.fleet.struck - struck
        return f"{jobs} jobs, each had once, {again} struck, {jobs / took:.2f} a second, longest {max(waits):.1f} s"

    async def kill_one(self) -> None:
        """kill -9 of a worker that paints."""
        answer = await self.api.applications()
        replicas = answer["applications"]["easel"]["deployments"][serve_api.DEPLOYMENT]["replicas"]
        os.kill(next(each["pid"] for each in replicas if each["state"] == "RUNNING"), signal.SIGKILL)


async def ask(folder: Path, jobs: int) -> None:
    """A bot that notes what it has had, and asks for the rest."""
    done = folder / "done"
    before = set(map(int, done.read_text().split())) if done.exists() else set()
    turns = asyncio.Semaphore(AT_ONCE)
    async with Bot(folder, "2-2").running() as bot:

        async def job(seed: int) -> None:
            async with turns:
                await bot.had(seed)
                with done.open("a") as file:
                    file.write(f"{seed}\n")

        await asyncio.gather(*(job(seed) for seed in range(jobs) if seed not in before))


def restart_the_bot(folder: Path, jobs: int) -> str:
    """kill -9 of the bot while its workers paint; then another one."""
    done, command = folder / "done", [sys.executable, "-m", "benchmarks.ray_cluster", str(folder), str(jobs)]
    count = lambda: len(done.read_text().split()) if done.exists() else 0  # noqa: E731
    first = subprocess.Popen(command)
    while count() < jobs // 4 and first.poll() is None:
        time.sleep(0.05)
    first.kill()
    first.wait()
    by_then, killed_at = count(), time.monotonic()
    subprocess.run(command, check=True)
    assert sorted(map(int, done.read_text().split())) == list(range(jobs))
    return f"{by_then} of {jobs} jobs had, then the rest, each once, {time.monotonic() - killed_at:.1f} s later"


def told(what: str, began: float, said: str) -> None:
    print(f"{what}: {said} ({time.monotonic() - began:.0f} s)", flush=True)


async def questions(folder: Path, began: float, lose_a_node: Callable[[], None]) -> None:
    """All but the one about the bot's own end."""
    async with Bot(folder, "1-1").running() as bot:
        await bot.has(1)
        told("one worker", began, "is there")
        told("one worker", began, await bot.evening(20))
    async with Bot(folder, "2-2").running() as bot:
        await bot.has(2)
        told("two workers", began, "are there")
        told("two workers", began, await bot.evening(40))
        for seconds in (1.5, 3.25, 4.75):
            told("one is killed", began, await bot.evening(30, (seconds, bot.kill_one)))
            await bot.has(2)
    told("the bot is killed", began, await asyncio.to_thread(restart_the_bot, folder, 40))
    scaling.KEPT_S, scaling.SOON_S = 4.0, 1.5
    async with Bot(folder, "1-2").running() as bot:
        await bot.has(1)
        told("too much for one", began, await bot.evening(60))
        told("too much for one", began, f"by its end there are {len(bot.fleet.members)}")
        await bot.has(1)
        told("nothing to do", began, "one is left")
        few = [bot.had(seed) for seed in range(2)]
        told("little to do", began, f"{max(await asyncio.gather(*few)):.1f} s")
    async with Bot(folder, "2-2").running() as bot:
        await bot.has(2)
        told("a node is lost", began, await bot.evening(40, (3.0, lambda: asyncio.to_thread(lose_a_node))))


def main() -> None:
    """Each question once."""
    serve_api.IMPORT_PATH = "benchmarks.ray_cluster:app"
    if len(sys.argv) > 1:
        asyncio.run(ask(Path(sys.argv[1]), int(sys.argv[2])))
        return
    from ray.cluster_utils import Cluster as Machines  # of several nodes, all here

    began = time.monotonic()
    head = {"include_dashboard": True, "dashboard_port": DASHBOARD, **NODE}
    machines = Machines(initialize_head=True, head_node_args=head)
    nodes = [machines.add_node(num_gpus=1, **NODE) for _ in range(2)]
    told("a cluster of a head and two nodes", began, "is there")
    try:
        with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
            lose = lambda: machines.remove_node(nodes[1], allow_graceful=False)  # noqa: E731
            asyncio.run(questions(Path(folder), began, lose))
    finally:
        machines.shutdown()


if __name__ == "__main__":
    main()
