"""Denoisers that are compiled: the same bits in any company and after a restart; where it can't be, as they are."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from engine import Engine, ImageReady
from engine.device import compiler, devices
from engine.device.compiler import Compiler
from engine.device.memory import DeviceMemory
from engine.models.memory.ladder import RUNGS
from engine.models.memory.placing import Placing
from tests.engine import conftest as zoo
from tests.engine.adapters.test_adapters import lora
from tests.engine.conftest import gain_from_rows
from tests.engine.test_together import apart, content, grid, painted

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _nothing_compiled_before() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The programs that are made, which run as the blocks do: what is looked at here is who is compiled, and when."""
    made: list[Any] = []

    def backend(program: Any, inputs: Any) -> Any:
        made.append(program)
        return program.forward

    monkeypatch.setattr(compiler, "BACKEND", backend)
    return made


def pictures(ready: list[ImageReady]) -> list[Image.Image]:
    return [each.image for each in ready]


@pytest.mark.parametrize("family", ["sd1", "sdxl", "flux"])
async def test_blocks_are_compiled_and_paint_the_same(folders: dict[str, Path], family: str, programs: Any) -> None:
    async with Engine(str(folders[family])) as engine:
        plain = await painted(engine, grid())
    assert not programs
    assert {each.recipe.compiled for each in plain} == {""}
    async with Engine(str(folders[family]), compiled=True) as engine:
        ready = await painted(engine, grid())
        count = len(programs)
        again = await painted(engine, grid(prompt="the moon", seed=8))
        told = engine.status().memory
    assert count
    assert len(programs) == count, "once for each shape, not for each picture"
    assert again[0].image.tobytes() != ready[0].image.tobytes()
    assert {each.recipe.compiled for each in ready} == {"compiled blocks"}
    assert "whole, compiled blocks, " in told[family]
    assert apart(pictures(ready), pictures(plain)) <= 1


async def test_the_bits_do_not_depend_on_what_was_compiled_before(folders: dict[str, Path], programs: Any) -> None:
    """PyTorch would make one program for several sizes once it has seen two."""
    async with Engine(str(folders["sd1"]), compiled=True) as engine:
        first = content(pictures(await painted(engine, grid(num_images=1))))
        made = len(programs)
        for size in (96, 80, 128):
            await painted(engine, grid(num_images=1, width=size))
        assert len(programs) == 4 * made
        assert content(pictures(await painted(engine, grid(num_images=1)))) == first


@pytest.mark.skipif(not shutil.which("g++"), reason="on a processor, PyTorch's own compiler needs C++'s")
async def test_the_same_bytes_after_a_restart(folders: dict[str, Path], tmp_path: Path, monkeypatch: Any) -> None:
    """Also when everything is compiled again."""
    found = []
    for number in range(2):
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / str(number)))
        torch._dynamo.reset()
        async with Engine(str(folders["sd1"]), compiled=True) as engine:
            ready = await painted(engine, grid(num_images=1, num_inference_steps=2))
        assert ready[0].recipe.compiled == "compiled blocks"
        found.append(content(pictures(ready)))
    assert found[0] == found[1]
    async with Engine(str(folders["sd1"])) as engine:
        assert apart(pictures(await painted(engine, grid(num_images=1, num_inference_steps=2))), pictures(ready)) <= 1


def broken(program: Any, inputs: Any) -> Any:
    raise RuntimeError("there is no compiler")


def breaks_later(program: Any, inputs: Any) -> Any:
    def run(*args: Any) -> Any:
        raise RuntimeError("the program crashed")

    return run


@pytest.mark.parametrize(("backend", "reason"), [(broken, "there is no compiler"), (breaks_later, "program crashed")])
async def test_what_cannot_be_compiled_runs_as_it_is(
    folders: dict[str, Path], backend: Any, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    async with Engine(str(folders["sd1"])) as engine:
        plain = await painted(engine, grid())
    monkeypatch.setattr(compiler, "BACKEND", backend)
    with caplog.at_level(logging.WARNING, logger="engine"):
        async with Engine(str(folders["sd1"]), compiled=True) as engine:
            ready = await painted(engine, grid())
    assert content(pictures(ready)) == content(pictures(plain))
    assert {each.recipe.compiled for each in ready} == {""}
    (said,) = [record.message for record in caplog.records if "compiled" in record.message]
    assert said.startswith("UNet2DConditionModel can't be compiled here (")
    assert reason in said


async def test_a_call_that_fails_by_itself_is_not_the_compilers_fault(folders: dict[str, Path], programs: Any) -> None:
    unet = zoo.unet()
    Compiler(device=CPU, exact=True).prepare("unet", unet, denoises=True)
    words = torch.zeros(1, 7, 31)  # a width that it doesn't read
    with torch.no_grad(), pytest.raises(RuntimeError):
        compiler.call(unet, "__call__", torch.zeros(1, 4, 8, 8), 5, words)
    assert compiler.told(unet) == "compiled blocks"


async def test_loras_run_as_they_are_and_change_nothing_for_others(
    folders: dict[str, Path], tmp_path: Path, programs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joined, the others' rows would be computed by layers with hooks, which no program knows."""
    gain_from_rows(monkeypatch, 8)
    path = lora(folders["sd1"], "sd1", tmp_path, seed=1)
    async with Engine(str(folders["sd1"]), compiled=True, loras={"red": str(path)}) as engine:
        alone = await painted(engine, grid(num_images=1))
        red = await painted(engine, grid(num_images=1, prompt="a red boat <lora:red:1>"))
        both = [engine.submit(grid(num_images=1)), engine.submit(grid(num_images=1, prompt="a red boat <lora:red:1>"))]
        again, red_again = [await ticket.result() for ticket in both]
    assert [alone[0].recipe.compiled, red[0].recipe.compiled] == ["compiled blocks", ""]
    assert content(again) == content(pictures(alone))
    assert content(red_again) == content(pictures(red)) != content(again)


async def test_tiles_that_wrap_around_run_as_they_are(folders: dict[str, Path], programs: Any) -> None:
    async with Engine(str(folders["sd1"]), compiled=True) as engine:
        tiled = await painted(engine, grid(tiling=True))
        assert not programs
    async with Engine(str(folders["sd1"])) as engine:
        assert content(pictures(await painted(engine, grid(tiling=True)))) == content(pictures(tiled))


def placed(placing: Placing) -> Placing:
    for name, module in placing.left():
        placing.put(name, module)
    return placing


def test_what_comes_block_by_block_is_not_compiled(programs: Any) -> None:
    """Its blocks' hooks swap their weights, and a program would read those of the first call."""
    memory = DeviceMemory(CPU)
    memory.own = True
    memory.settle = memory.bring = lambda module: None  # type: ignore[method-assign, assignment]
    streamed = placed(Placing(memory, RUNGS[-1], zoo.sd1(), compiler=Compiler(device=CPU, exact=True)))
    assert streamed.compiled == ""
    later = placed(Placing(memory, pipe=zoo.sd1(), compiler=Compiler(device=CPU, exact=True)))
    assert later.compiled == "compiled blocks"
    assert later.offload()
    assert later.compiled == ""
    assert all(block._compiled_call_impl is None for block in later.pipe.unet.modules())


@pytest.mark.parametrize("bits", [8, 4])
def test_fewer_bits_are_compiled_too(bits: int, programs: Any) -> None:
    rung = next(rung for rung in RUNGS if rung.bits == bits)
    plain, compiled = Placing(DeviceMemory(CPU), rung, zoo.sd1()), Placing(DeviceMemory(CPU), rung, zoo.sd1())
    compiled.compiler = Compiler(device=CPU, exact=True)
    given = torch.randn(1, 4, 8, 8), torch.tensor([5.0]), torch.randn(1, 77, 32)
    outputs = []
    for placing in (plain, compiled):
        placed(placing)
        with torch.no_grad():
            outputs.append(compiler.call(placing.pipe.unet, "__call__", *given)[0])
    assert programs
    assert compiled.compiled == "compiled blocks"
    assert torch.allclose(*outputs, atol=1e-5)


async def test_convolutions_lie_as_a_card_computes_them(
    folders: dict[str, Path], tmp_path: Path, programs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Engine(str(folders["sd1"])) as engine:
        plain = await painted(engine, grid())
    monkeypatch.setattr(devices, "likes_channels_last", lambda device: True)
    path = lora(folders["sd1"], "sd1", tmp_path, seed=1)
    seen: list[bool] = []

    def look(sample: torch.Tensor) -> None:
        cache = engine._worker._cache  # type: ignore[union-attr]
        pipe = cache._models["sd1"].pipe
        layers = [layer for part in (pipe.unet, pipe.vae) for layer in part.modules()]
        wide = [layer.weight for layer in layers if isinstance(layer, torch.nn.Conv2d) and layer.kernel_size != (1, 1)]
        seen.append(all(weight.is_contiguous(memory_format=torch.channels_last) for weight in wide))

    zoo.before_unet(monkeypatch, look)
    async with Engine(str(folders["sd1"]), compiled=True, loras={"red": str(path)}) as engine:
        ready = await painted(engine, grid())
        red = await painted(engine, grid(num_images=1, prompt="a red boat <lora:red:1>"))
    assert seen
    assert all(seen)
    assert {each.recipe.compiled for each in ready} == {"channels last, compiled blocks"}
    assert red[0].recipe.compiled == "channels last"
    assert apart(pictures(ready), pictures(plain)) <= 1


def test_a_class_that_names_no_repeated_blocks_runs_as_it_is() -> None:
    plain = torch.nn.Linear(2, 2)
    Compiler(device=CPU, exact=True).prepare("transformer", plain, denoises=True)
    assert compiler.told(plain) == ""
