"""Workers on a Ray cluster, by its documented interface: asked for, scaled with the load, left, found again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from ray_dashboard import dashboard

from bot.cli.checks import workers as checks
from bot.config import Settings
from bot.demo.simulation import FIRST_USER_ID, stage
from bot.errors import BadInput
from bot.features.workers import painter
from bot.features.workers.cluster import cluster as clusters
from bot.features.workers.cluster import scaling
from bot.features.workers.cluster.cluster import Cluster
from bot.features.workers.cluster.scaling import Load
from bot.features.workers.cluster.serve_api import ClusterError, ServeApi
from bot.features.workers.cluster.way_in import way_in
from bot.features.workers.panel_workers import TAB
from engine.fake import FakeEngine
from engine.fleet.fleet import Fleet
from engine.fleet.machines.ray_address import RayAddress
from engine.fleet.machines.remembering import Remembered
from tests.e2e.screen import paint, parts, words
from tests.fleet.fakes import asked, check_painted, events_of, until
from tests.fleet.machines import Bot, bot

ADA = FIRST_USER_ID + 2
OTHER = {"name": "other", "import_path": "somebody.elses:app", "deployments": []}


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(painter, "engine_for", lambda settings: FakeEngine(step_s=0.02))
    monkeypatch.setattr(clusters, "LOOK_S", 0.02)
    monkeypatch.setattr(clusters, "AGAIN_S", 0.02)
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path / "replica"))
    monkeypatch.setenv("EASEL_DEVICE", "none")  # of the bot; one of its settings that a worker can't have


@pytest.fixture
async def aiohttp_answer() -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """Has a server of one's own answer everything with a text; its address."""
    async with AsyncExitStack() as stack:

        async def start(text: str) -> str:
            async def answer(_: web.BaseRequest) -> web.Response:
                return web.Response(text=text)

            runner = web.ServerRunner(web.Server(answer))
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            return f"http://{host}:{port}"

        yield start


@asynccontextmanager
async def scaled(there: Bot, url: str, folder: Path, told: list[str], protocol: int = 1) -> AsyncIterator[Cluster]:
    """What keeps a bot's workers on a cluster, as the bot's own service does it."""
    address = RayAddress.parse(url)

    async def tell(why: str) -> None:
        told.append(why)

    def load() -> Load:
        return Load(jobs=len(there.fleet.jobs), work_s=there.fleet.left_s(), known=len(there.fleet.models()))

    cluster = Cluster(address, ServeApi(address.url), load, tell, grace_s=1.0, protocol=protocol)
    cluster.start(there.address, await clusters.token_for(folder, address.name))
    try:
        yield cluster
    finally:
        await cluster.stop()


async def test_workers_come_with_the_load_and_go_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "SOON_S", 0.1)
    monkeypatch.setattr(scaling, "KEPT_S", 0.5)
    async with dashboard() as (ray, url), bot(tmp_path) as there:
        async with scaled(there, url + "?workers=0-3&gpus=0", tmp_path, []) as cluster:
            await until(lambda: ray.scales == [0])  # the first one has told its models by then, and nobody asks
            assert [info.key for info in there.fleet.models()] == ["mini"]
            await until(lambda: not there.fleet.members)
            jobs = [there.fleet.submit(asked(seed)) for seed in range(12)]
            ended = await asyncio.gather(*(events_of(job) for job in jobs))
            for seed, events in enumerate(ended):
                check_painted(events, seed, 1)
            assert max(ray.scales) == 3
            await until(lambda: ray.scales[-1] == 0)
            await until(lambda: cluster.line() == "Ray, 0 to 3: 0 of 0 workers run")
        assert ray.puts == 1


async def test_a_bot_that_starts_again_finds_its_workers(tmp_path: Path) -> None:
    async with dashboard() as (ray, url):
        async with bot(tmp_path) as there, scaled(there, url + "?workers=2", tmp_path, []):
            await until(lambda: len(there.fleet.members) == 2)
        async with bot(tmp_path) as there:
            ray.applications["easel"]["said"]["args"]["address"] = there.address  # its port is another one here
            async with scaled(there, url + "?workers=2-3", tmp_path, []) as cluster:
                await until(lambda: cluster.seen is not None)
        assert (ray.puts, {*ray.scales}) == (1, {2})
        async with bot(tmp_path) as there, scaled(there, url + "?workers=2", tmp_path, [], protocol=2):
            await until(lambda: len(there.fleet.members) == 2)
        assert ray.puts == 2


async def test_the_cluster_is_left_with_the_fewest(tmp_path: Path) -> None:
    async with dashboard() as (ray, url), bot(tmp_path) as there:
        async with scaled(there, url + "?workers=1-4", tmp_path, []) as cluster:
            await until(lambda: len(there.fleet.members) == 1)
            ray.applications["easel"]["target"] = 4
            await until(lambda: cluster.seen is not None and cluster.seen.asked == 4)
        assert ray.applications["easel"]["target"] == 1


async def test_also_right_after_more_were_asked_for(tmp_path: Path) -> None:
    async with dashboard() as (ray, url), bot(tmp_path) as there:
        async with scaled(there, url + "?workers=0-4", tmp_path, []):
            await until(lambda: "easel" in ray.applications)
            assert ray.applications["easel"]["target"] == 1
        assert ray.applications["easel"]["target"] == 0


async def test_a_cluster_that_is_silent_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "LEAVING_S", 0.1)
    silent = socket.create_server(("127.0.0.1", 0))  # connections are taken, and nobody reads
    url = f"ray://127.0.0.1:{silent.getsockname()[1]}?workers=1"
    with silent:
        async with asyncio.timeout(20), bot(tmp_path) as there, scaled(there, url, tmp_path, []):
            pass


async def test_what_others_run_there_goes_on(tmp_path: Path) -> None:
    async with dashboard() as (ray, url), bot(tmp_path) as there:
        ray.applications["other"] = {"said": OTHER, "target": 0}
        async with scaled(there, url + "/garden?workers=1", tmp_path, []):
            await until(lambda: "garden" in ray.applications)
            assert ray.applications["other"]["said"] == OTHER
            await until(lambda: [member.token for member in there.fleet.members] == ["garden"])


async def test_a_cluster_that_fails_is_told_and_asked_again(tmp_path: Path) -> None:
    told: list[str] = []
    async with dashboard() as (_, url):
        pass  # nobody listens there now
    async with bot(tmp_path) as there, scaled(there, url + "?workers=1", tmp_path, told) as cluster:
        await until(lambda: bool(told))
        assert "doesn't answer as the dashboard of a Ray cluster does" in told[0]
        assert cluster.line() == f"Ray: {cluster.problem}"
        async with dashboard(token="secret", port=int(url.rpartition(":")[2])) as (ray, _):
            await until(lambda: "EASEL_RAY_TOKEN" in cluster.problem)
            ray.token = ""
            await until(lambda: len(there.fleet.members) == 1)
            ray.broken = "no machine has a free GPU"
            await until(lambda: "no machine has a free GPU" in cluster.line())


async def test_members_paint_on_the_cluster_and_operators_see_it(tmp_path: Path) -> None:
    async with dashboard() as (ray, url):
        settings = Settings(
            _env_file=None, data_dir=tmp_path, min_free_mib=0, web_port=0, operators=(ADA,), engine=url + "?workers=1-2"
        )
        async with stage(settings, make_engine=lambda: Fleet(memory=Remembered(tmp_path))) as studio:
            await until(lambda: bool(studio.engine.models()))
            message = await paint(studio, "a red boat")
            assert "a red boat" in words(message)
            assert parts(message)
            panel = await studio.members["Ada"].slash(studio.channel, "admin panel")
            await studio.members["Ada"].select(panel.response.message, [str(TAB.number)], custom_id="s1:adm:0")
            assert "Ray, 1 to 2: 1 of 1 workers run" in words(panel.response).replace("\\", "")
        assert ray.applications["easel"]["target"] == 1


@pytest.mark.parametrize("said", ["[]", "{}", '{"applications": null}', "<html>", ""])
async def test_what_is_no_cluster_is_said(said: str, aiohttp_answer: Callable[[str], Awaitable[str]]) -> None:
    with pytest.raises(ClusterError, match="Ray"):
        await ServeApi(await aiohttp_answer(said)).applications()


async def test_a_worker_that_is_wanted_no_more_is_not_healthy(tmp_path: Path) -> None:
    async with dashboard() as (ray, url), bot(tmp_path) as there, scaled(there, url + "?workers=1", tmp_path, []):
        await until(lambda: len(there.fleet.members) == 1)
        await ray.replicas[0].check_health()
        there.tokens.revoke("easel")
        await there.page.look()
        await until(ray.replicas[0]._painting.done)
        with pytest.raises(Exception, match="token of this worker no more"):
            await ray.replicas[0].check_health()


async def test_doctor_asks_the_cluster(tmp_path: Path) -> None:
    def sentences(url: str) -> list[str]:
        settings = Settings(_env_file=None, engine=url, data_dir=tmp_path)
        return [f"{check.verdict}: {check.sentence}" for check in checks.cluster(settings)]

    async with dashboard() as (ray, url):
        (found,) = await asyncio.to_thread(sentences, url)
        assert found.startswith("ok: ")
        assert "Easel's start has it run workers" in found
        async with bot(tmp_path) as there, scaled(there, url + "?workers=1", tmp_path, []):
            await until(lambda: len(there.fleet.members) == 1)
            (found,) = await asyncio.to_thread(sentences, url)
            assert found.endswith(": 1 of 1 workers run.")
            ray.broken = "no machine has a free GPU"
            (found,) = await asyncio.to_thread(sentences, url)
            assert found.startswith("note: ")
    (found,) = await asyncio.to_thread(sentences, url)
    assert found.startswith("bad: ")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ray://head", RayAddress(url="http://head:8265")),
        ("ray://10.0.0.7:9000/garden", RayAddress(url="http://10.0.0.7:9000", name="garden")),
        ("rays://[::1]?workers=2&gpus=0.5", RayAddress(url="https://[::1]:8265", fewest=2, most=2, gpus=0.5)),
        ("ray://head?workers=1-8&gpus=0", RayAddress(url="http://head:8265", fewest=1, most=8, gpus=0)),
    ],
)
def test_addresses(text: str, found: RayAddress) -> None:
    assert RayAddress.parse(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "head",
        "http://head",
        "ray://",
        "ray://head:10001",
        "ray://head:x",
        "ray://head?worker=1",
        "ray://head?workers=4-2",
        "ray://head?workers=0",
        "ray://head?workers=x",
        "ray://head?workers=1-9999",
        "ray://head?gpus=-1",
        "ray://head?gpus=many",
        "ray://head?gpus=nan",
        "ray://head/a/b",
        "ray://head/-",
    ],
)
def test_what_is_no_address_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(BadInput, match="EASEL_ENGINE"):
        Settings.load(_env_file=None, engine=text)


def test_the_way_in() -> None:
    assert way_in("https://easel.example.org", "127.0.0.1", 1, "http://head:8265") == "wss://easel.example.org/worker"
    assert way_in("auto", "127.0.0.1", 86, "http://127.0.0.1:8265") == "ws://127.0.0.1:86/worker"
    assert way_in("", "0.0.0.0", 86, "http://127.0.0.1:8265") == "ws://127.0.0.1:86/worker"
    assert way_in("", "192.168.0.4", 86, "http://head:8265") == "ws://192.168.0.4:86/worker"
    with pytest.raises(BadInput, match=r"EASEL_WEB_HOST=0\.0\.0\.0"):
        way_in("", "127.0.0.1", 86, "http://192.168.0.9:8265")
    with pytest.raises(BadInput, match="There is no way to"):
        way_in("", "0.0.0.0", 86, "http://nobody.invalid:8265")
