"""Loading, hashing and downloading happen beside the engine's thread: others paint on, and who waits is told."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import (
    Engine,
    EngineClosed,
    Finished,
    ImageReady,
    Loading,
    ModelUnloadable,
    Queued,
    Started,
    Txt2Img,
)
from engine.device import devices, loader
from engine.models.files import hashes, reading
from tests.engine.conftest import before_unet
from tests.engine.loading.hub_server import Hub, serving, use


@dataclass
class Hashing:
    """`begun`: what is hashed, by name. `go_on`: set once hashes may be known. `faults`: raised in their place."""

    begun: list[str] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    faults: list[Exception] = field(default_factory=list)


def ask(**changes: Any) -> Txt2Img:
    facts = {"prompt": "a red boat", "seed": 7, "num_inference_steps": 2, "guidance_scale": 5.0}
    return Txt2Img(**{**facts, "width": 64, "height": 64, **changes})


@pytest.fixture
def tell_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block that was read is told."""
    monkeypatch.setattr(loader, "TELL_S", 0.0)


def before_load(monkeypatch: pytest.MonkeyPatch, key: str, work: Callable[[], None]) -> list[str]:
    """Have `work` done in the loader's thread before that model is read; the list of what was read."""
    read, done = reading.load, []

    def load(source: Any, dtype: Any, put: Any) -> Any:
        done.append(source.key)
        if source.key == key:
            work()
        return read(source, dtype, put)

    monkeypatch.setattr(reading, "load", load)
    return done


async def painted(engine: Engine, request: Txt2Img, user: str = "") -> bytes:
    return (await engine.submit(request, user=user).result())[0].tobytes()


async def test_while_a_model_loads_others_paint_and_its_jobs_share_the_load(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load ends only after the others' pictures are there, so nobody can have waited for it."""
    async with Engine(str(folders["sd1"]), models={"sdxl": str(folders["sdxl"])}) as quick:
        expected = {model: await painted(quick, ask(model=model)) for model in ("sd1", "sdxl")}
    others_are_done = threading.Event()
    read = before_load(monkeypatch, "sdxl", others_are_done.wait)
    try:
        async with Engine(str(folders["sd1"]), models={"sdxl": str(folders["sdxl"])}) as engine:
            waiting = [engine.submit(ask(model="sdxl"), user=user) for user in "ab"]
            assert await painted(engine, ask(), "c") == expected["sd1"]
            assert engine.status().loaded == ("sd1",)
            events = [asyncio.create_task(_events(ticket)) for ticket in waiting]
            others_are_done.set()
            for told, ticket in zip(await asyncio.gather(*events), waiting, strict=True):
                kinds = [type(event) for event in told]
                assert kinds.index(Loading) < kinds.index(Started)
                assert kinds[-1] is Finished
                assert (await ticket.result())[0].tobytes() == expected["sdxl"]
    finally:
        others_are_done.set()
    assert read == ["sd1", "sdxl"]


async def _events(ticket: Any) -> list[Any]:
    return [event async for event in ticket]


async def test_no_step_runs_while_a_library_has_changed_the_default_dtype(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped, seen = threading.Event(), set()

    def step(_: torch.Tensor) -> None:
        seen.add(torch.get_default_dtype())
        stepped.set()

    def construct() -> None:
        assert stepped.wait(30), "the other job never painted"
        torch.set_default_dtype(torch.bfloat16)
        stepped.clear()
        assert not stepped.wait(0.2), "a step ran though another dtype is the default"
        torch.set_default_dtype(torch.float32)

    before_load(monkeypatch, "sdxl", construct)
    before_unet(monkeypatch, step)
    async with Engine(str(folders["sd1"]), models={"sdxl": str(folders["sdxl"])}) as engine:
        await painted(engine, ask())
        busy = engine.submit(ask(num_inference_steps=150), user="busy")
        await painted(engine, ask(model="sdxl"), "waiting")
        busy.cancel()
    assert seen == {torch.float32}


async def test_a_library_that_fails_midway_leaves_the_default_dtype_as_it_was(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def construct() -> None:
        torch.set_default_dtype(torch.bfloat16)
        raise ValueError("no such layer")

    before_load(monkeypatch, "sdxl", construct)
    async with Engine(str(folders["sd1"]), models={"sdxl": str(folders["sdxl"])}) as engine:
        with pytest.raises(ModelUnloadable, match="no such layer"):
            await painted(engine, ask(model="sdxl"))
        assert torch.get_default_dtype() is torch.float32
        assert await painted(engine, ask())


async def test_a_load_that_fails_fails_who_waits_and_is_tried_again(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[str] = ["the disk hiccupped"]
    both_wait = threading.Event()

    def fail() -> None:
        both_wait.wait()
        if faults:
            raise OSError(faults.pop())

    read = before_load(monkeypatch, "sdxl", fail)
    async with Engine(str(folders["sd1"]), models={"sdxl": str(folders["sdxl"])}) as engine:
        waiting = [engine.submit(ask(model="sdxl"), user=user) for user in "ab"]
        await engine.inspect()
        both_wait.set()
        for ticket in waiting:
            with pytest.raises(ModelUnloadable, match="hiccupped"):
                await ticket.result()
        assert await painted(engine, ask(model="sdxl"))
    assert read.count("sdxl") == 2


@pytest.mark.parametrize("talks", [True, False], ids=["between two blocks", "inside a library"])
async def test_closing_abandons_a_load(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tell_all: None, talks: bool
) -> None:
    """One that tells how far it is ends there; one inside a library's call is left, and what it made is dropped."""
    begun, go_on, ends = threading.Event(), threading.Event(), []
    run = loader.Loader._run

    def watched(self: Any, load: Any) -> None:
        if load.key == "sdxl":
            make = load.work

            def work(tell: Any) -> Any:
                begun.set()
                while talks and not go_on.wait(0.01):
                    tell(1, 2)
                go_on.wait()
                return make(tell)

            load.work = work
        run(self, load)
        if load.stage == "load":
            ends.append(load.key)

    monkeypatch.setattr(loader.Loader, "_run", watched)
    monkeypatch.setattr(loader, "LEAVE_S", 10.0 if talks else 0.1)
    try:
        async with Engine(str(folders["sd1"]), models={"sdxl": str(folders["sdxl"])}) as engine:
            await painted(engine, ask())
            waiting = engine.submit(ask(model="sdxl"))
            await asyncio.to_thread(begun.wait)
        with pytest.raises(EngineClosed):
            await waiting.result()
        assert ends == (["sd1", "sdxl"] if talks else ["sd1"])
    finally:
        go_on.set()


async def test_a_load_that_was_left_is_over_before_another_engine_reads(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries patch torch for every thread while they build a model; two at once would undo each other's patches."""
    begun, go_on, at_once, most = threading.Event(), threading.Event(), 0, 0
    read = reading.load

    def load(source: Any, dtype: Any, put: Any) -> Any:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if source.key == "sdxl":
            begun.set()
            go_on.wait()
        try:
            return read(source, dtype, put)
        finally:
            at_once -= 1

    monkeypatch.setattr(reading, "load", load)
    monkeypatch.setattr(loader, "LEAVE_S", 0.1)
    async with Engine(str(folders["sd1"]), models={"sdxl": str(folders["sdxl"])}) as engine:
        engine.submit(ask(model="sdxl"))
        await asyncio.to_thread(begun.wait)
    threading.Timer(0.5, go_on.set).start()
    async with Engine(str(folders["sd1"])) as engine:
        assert await painted(engine, ask())
    assert most == 1


async def test_a_job_that_waits_can_be_cancelled_and_the_load_goes_on(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    before_load(monkeypatch, "sdxl", go_on.wait)
    async with Engine(str(folders["sd1"]), models={"sdxl": str(folders["sdxl"])}) as engine:
        waiting = engine.submit(ask(model="sdxl"))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting.result()
        go_on.set()
        assert await painted(engine, ask(model="sdxl"))
        assert {model.images for model in (await engine.inspect()).models} == {0}


async def test_the_waiting_job_is_told_how_many_bytes_are_read(
    folders: dict[str, Path], tell_all: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.models.files.weights.BLOCK", 4096)
    weights = sum(file.stat().st_size for file in folders["sdxl"].rglob("*.safetensors"))
    async with Engine(str(folders["sd1"]), models={"sdxl": str(folders["sdxl"])}) as engine:
        told: list[Loading] = []
        monkeypatch.setattr("engine.api.tickets._LATEST_WINS", (Queued,))
        async for event in engine.submit(ask(model="sdxl")):
            if isinstance(event, Loading):
                told.append(event)
    done = [event.done_bytes for event in told if event.total_bytes]
    assert {(event.model, event.stage) for event in told} == {("sdxl", "load")}
    assert {event.total_bytes for event in told[1:]} == {weights}
    assert done == sorted(done)
    assert len(done) > 3
    assert done[-1] == weights


# ---------------------------------------------------------------- the hash
@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hashing]:
    """Hashes are known only once somebody says so."""
    found = Hashing()
    real = hashes.Hashes.of

    def of(self: Any, path: Path, *args: Any, **kwargs: Any) -> str:
        found.begun.append(path.name)
        assert found.go_on.wait(30)
        if found.faults:
            raise found.faults.pop()
        return real(self, path, *args, **kwargs)

    monkeypatch.setattr(hashes.Hashes, "of", of)
    yield found
    found.go_on.set()


async def test_a_picture_waits_for_the_hash_in_its_recipe_and_nobody_else_does(
    folders: dict[str, Path], hashing: Hashing
) -> None:
    async with Engine(str(folders["sd1"]), models={"sdxl": str(folders["sdxl"])}) as engine:
        first, later = engine.submit(ask(num_images=2)), engine.submit(ask(model="sdxl"), user="b")
        gone = engine.submit(ask(seed=8), user="c")
        await _decoded(engine, 4)  # two of the first model, one of the other, and one that nobody waits for any more
        gone.cancel()
        hashing.go_on.set()
        for ticket, name in ((first, "sd1"), (later, "sdxl")):
            told = [event async for event in ticket]
            hashes_told = {event.recipe.model_sha256 for event in told if isinstance(event, ImageReady)}
            assert hashes_told == {hashes.Hashes().of(folders[name])}
            kinds = [type(event) for event in told]
            assert Loading not in kinds[kinds.index(Started) :], "it's none of their business"
        assert {model.images for model in (await engine.inspect()).models} == {0}
    assert sorted(hashing.begun) == ["sd1", "sd1", "sdxl", "sdxl"], "once by the engine, once by this test"


async def test_a_hash_that_fails_fails_who_waits_and_is_tried_again(folders: dict[str, Path], hashing: Hashing) -> None:
    hashing.faults.append(OSError("the disk hiccupped"))
    async with Engine(str(folders["sd1"])) as engine:
        ticket = engine.submit(ask())
        await _decoded(engine, 1)
        hashing.go_on.set()
        with pytest.raises(ModelUnloadable, match="hiccupped"):
            await ticket.result()
        assert await painted(engine, ask())
    assert hashing.begun == ["sd1", "sd1"]


async def test_where_row_counts_are_pinned_under_the_hash_nothing_begins_without_it(
    folders: dict[str, Path], hashing: Hashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "gains_from_rows", lambda device: True)
    async with Engine(str(folders["sd1"])) as engine:
        ticket, told = engine.submit(ask()), list[Any]()
        async for event in ticket:
            told.append(event)
            if isinstance(event, Loading) and engine.status().loaded:
                hashing.go_on.set()
        assert [type(event) for event in told].index(Started) > [type(event) for event in told].index(Loading)
        assert {model.images for model in (await engine.inspect()).models} == {0}


async def _decoded(engine: Engine, count: int) -> None:
    """Wait until so many pictures have been decoded."""
    while (await engine.inspect()).forwards["decode"].count < count:
        pass


# ---------------------------------------------------------------- the hub
async def test_a_hub_model_is_downloaded_while_others_paint(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tell_all: None
) -> None:
    others_are_done = threading.Event()
    repo = shutil.copytree(folders["sdxl"], tmp_path / "repo")
    (repo / "sdxl.safetensors").write_bytes(b"the same in one file, which nobody needs")
    (repo / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"the same in half")
    (repo / "unet" / "pytorch_model.bin").write_bytes(b"a pickle")
    (repo / "safety_checker").mkdir()
    (repo / "safety_checker" / "model.safetensors").write_bytes(b"what judges is another")
    weights = "unet/diffusion_pytorch_model.safetensors"
    with serving(Hub({"some/sdxl": repo})) as hub:
        use(hub, tmp_path / "cache", monkeypatch)
        hub.pause = lambda name: others_are_done.wait() if name == weights else None  # type: ignore[func-returns-value]
        async with Engine(str(folders["sd1"]), models={"far": "some/sdxl", "near": str(folders["sdxl"])}) as engine:
            expected = await painted(engine, ask(model="near"))
            events = asyncio.create_task(_events(waiting := engine.submit(ask(model="far"))))
            await painted(engine, ask(), "another")
            others_are_done.set()
            told = [event for event in await events if isinstance(event, Loading)]
            assert (await waiting.result())[0].tobytes() == expected
            assert engine.models()[1].family == "sdxl"
    assert [event.stage for event in told] == sorted(event.stage for event in told), "downloaded, then loaded"
    assert told[0].stage == "download"
    unneeded = ("sdxl.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors", "unet/pytorch_model.bin")
    assert not {*unneeded, "safety_checker/model.safetensors"} & set(hub.sent)
    assert hub.sent[weights] == (repo / weights).stat().st_size


async def test_a_hub_that_cannot_be_reached_costs_one_sentence(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Hub({}, token="secret")) as hub:
        use(hub, tmp_path / "cache", monkeypatch)
        async with Engine(str(folders["sd1"]), models={"gated": "some/model"}) as engine:
            with pytest.raises(ModelUnloadable, match="HF_TOKEN"):
                await painted(engine, ask(model="gated"))
    async with Engine(str(folders["sd1"]), models={"far": "some/model"}) as engine:  # the hub is gone
        with pytest.raises(ModelUnloadable, match="can't be reached"):
            await painted(engine, ask(model="far"))
        assert await painted(engine, ask())
