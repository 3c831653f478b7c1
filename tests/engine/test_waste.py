"""What is not done twice, or not waited for: prompts read, devices looked up, rows joined, a card's clock."""

from __future__ import annotations

import asyncio
import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.hooks import group_offloading
from diffusers.models import modeling_utils
from torch.utils._python_dispatch import TorchDispatchMode

from engine import Engine, Txt2Img
from engine.device import devices, heap
from engine.device.rows import times
from engine.device.rows.joins import Joins
from engine.diffusion.embeddings import EncoderCache
from engine.runtime import worker
from tests.engine.conftest import gain_from_rows


def grid(prompt: str, **changes: Any) -> Txt2Img:
    facts = {"prompt": prompt, "seed": 7, "num_inference_steps": 2, "guidance_scale": 5.0, "width": 64, "height": 64}
    return Txt2Img(num_images=4, **facts | changes)


@pytest.mark.parametrize(("family", "encoders"), [("sd1", 1), ("sdxl", 2), ("sd3", 3), ("flux", 2)])
@pytest.mark.parametrize("joined", [False, True])
async def test_a_prompt_is_read_once_however_many_pictures(
    folders: dict[str, Path], family: str, encoders: int, joined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wanted and unwanted words, by each of the model's text encoders."""
    if joined:
        gain_from_rows(monkeypatch, 8)
    async with Engine(str(folders[family])) as engine:
        await engine.submit(grid("a red boat", negative_prompt="the moon" if family != "flux" else "")).result()
        encoded = (await engine.inspect()).forwards["encode"]
    assert encoded.count == encoders * (1 if family == "flux" else 2)
    assert encoded.most_joined == (4 if joined else 1)


async def test_pictures_do_not_look_through_the_modules_for_their_device(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Diffusers walks all modules for each look; the first picture of a model may, those after it need not."""
    looks: list[str] = []
    for place, name in ((group_offloading, "_get_group_onload_device"), (modeling_utils, "get_parameter_device")):
        monkeypatch.setattr(place, name, _noted(getattr(place, name), looks))
    async with Engine(str(folders["sd1"])) as engine:
        first = await engine.submit(grid("a red boat")).result()
        looks.clear()
        again = await engine.submit(grid("a red boat")).result()
    assert [image.tobytes() for image in again] == [image.tobytes() for image in first]
    assert looks == []


def _noted(look: Any, looks: list[str]) -> Any:
    def noted(*args: Any) -> Any:
        looks.append(look.__name__)
        return look(*args)

    return noted


def test_the_cache_of_prompts_knows_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put in again counts once, or everything would be thrown out in the end."""
    from engine.diffusion import embeddings

    monkeypatch.setattr(embeddings, "_cache_key", lambda call: call)
    cache, words = EncoderCache(limit_bytes=10_000), torch.zeros(1000)
    for _ in range(10):
        cache.put("the same", words)  # type: ignore[arg-type]
    cache.put("others", words)  # type: ignore[arg-type]
    assert cache.get("the same") is not None  # type: ignore[arg-type]


# ---------------------------------------------------------------- rows that are joined
@pytest.mark.parametrize(("family", "width"), [("sd1", 32), ("sdxl", 64)])
@pytest.mark.parametrize("joined", [False, True])
async def test_the_words_of_a_grid_are_joined_once_however_many_steps(
    folders: dict[str, Path], family: str, width: int, joined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a processor, where a grid's pictures share their calls, and where all who come do."""
    if joined:
        gain_from_rows(monkeypatch, 8)
    found = {}
    for remembers in (True, False):
        if not remembers:
            monkeypatch.setattr(Joins, "_remember", lambda *_: None)
        with monkeypatch.context() as watched:
            joins = _watch_joins(watched, width)
            async with Engine(str(folders[family])) as engine:
                request = grid("a red boat", negative_prompt="the moon", num_inference_steps=5, together=True)
                images = await engine.submit(request).result()
        found[remembers] = (len(joins), [image.tobytes() for image in images])
    assert found[True][0] == 1
    assert found[False][0] == 5
    assert found[True][1] == found[False][1]


def _watch_joins(monkeypatch: pytest.MonkeyPatch, width: int) -> list[int]:
    """The rows of each join of words: pipelines themselves join one wanted and one unwanted row."""
    seen: list[int] = []
    cat = torch.cat

    def watched(tensors: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        whole = cat(tensors, *args, **kwargs)
        if whole.shape[1:] == (77, width) and len(whole) > 2:
            seen.append(len(whole))
        return whole

    monkeypatch.setattr(torch, "cat", watched)
    return seen


def test_what_was_joined_is_joined_again_when_somebody_wrote_into_it() -> None:
    joins, one, other = Joins(), torch.zeros(2, 3), torch.ones(1, 3)
    whole = joins.of([one, other], 4)
    assert joins.of([one, other], 4) is whole
    assert whole.tolist() == [[0] * 3, [0] * 3, [1] * 3, [1] * 3]
    one += 5
    assert joins.of([one, other], 4)[0].tolist() == [5] * 3
    fresh = joins.of([one, other], 4)
    fresh += 1
    assert joins.of([one, other], 4)[0].tolist() == [5] * 3
    assert joins.of([one, other], 3).shape == (3, 3)
    del one, fresh
    assert not joins._known, "what nobody uses any more is not kept"


# ---------------------------------------------------------------- a card that computes beside us
class CardsClock:
    """As a card's events are: what was asked is not done until somebody waits for it."""

    running = 0
    most = 0
    waited: list[CardsClock]

    def __init__(self, device: torch.device) -> None:
        self.done = False

    def stop(self) -> None:
        kind = type(self)
        kind.running += 1
        kind.most = max(kind.most, kind.running)

    def seconds(self) -> float:
        assert not self.done, "told once"
        self.done = True
        type(self).running -= 1
        self.waited.append(self)
        return 0.5


async def test_a_card_is_asked_for_a_step_while_it_computes_the_last(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    gain_from_rows(monkeypatch, 8)
    async with Engine(str(folders["sd1"])) as engine:
        expected = await engine.submit(grid("a red boat", num_inference_steps=6)).result()
    monkeypatch.setattr(CardsClock, "waited", [], raising=False)
    monkeypatch.setattr(devices, "Stopwatch", CardsClock)
    monkeypatch.setattr(devices, "wait_for", lambda device: pytest.fail("all that was asked was waited for"))
    async with Engine(str(folders["sd1"])) as engine:
        images = await engine.submit(grid("a red boat", num_inference_steps=6)).result()
        forwards = (await engine.inspect()).forwards
        step_s = engine._step_times.seconds("sd1", 64 * 64 * 2)
    assert [image.tobytes() for image in images] == [image.tobytes() for image in expected]
    assert CardsClock.most == 2, "one that runs, and the next"
    assert len(CardsClock.waited) == sum(each.count for each in forwards.values()), "and everything is accounted for"
    assert step_s == 0.5 / 4


class Copies(TorchDispatchMode):
    """Counts what is copied from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {each.device for each in args if isinstance(each, torch.Tensor)}
        self.count += isinstance(made, torch.Tensor) and bool(given) and made.device not in given
        return made


@pytest.mark.parametrize("time", [torch.tensor(981), torch.tensor(0.5).expand(2), torch.tensor([7.0]), 981])
def test_a_steps_time_is_not_copied_to_a_card(time: Any) -> None:
    """A copy would wait until the card has done all that it was asked; `meta` stands for it here."""
    card, here = torch.empty(2, 4, 8, 8, device="meta"), torch.empty(2, 4, 8, 8)
    with Copies() as copies:
        rows = times.of_rows(time, card, 2)
    assert (copies.count, rows.device.type, tuple(rows.shape), rows.dtype) == (0, "meta", (2,), torch.float32)
    as_before = torch.as_tensor(time).to(torch.float32).reshape(-1).expand(2)
    assert times.of_rows(time, here, 2).tolist() == as_before.tolist()


def test_different_times_of_rows_stay_different() -> None:
    with Copies() as copies:
        times.of_rows(torch.tensor([1.0, 2.0]), torch.empty(2, 4, 8, 8, device="meta"), 2)
    assert copies.count == 1


# ---------------------------------------------------------------- libraries
PAINTS = """
import asyncio, ctypes, gc, resource, sys
from pathlib import Path
from engine import Engine, Txt2Img
from engine.device import heap

def own_mib():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("RssAnon"))

def looked(phase, told):
    if phase == "start" and told["generation"] == 2 and "torch" in sys.modules and not gc.get_freeze_count():
        looks.append(len(sys.modules))

looks, usual = [], gc.get_threshold()
gc.callbacks.append(looked)

async def paint():
    async with Engine() as engine:
        await engine.submit(Txt2Img(prompt="a red boat", seed=1, num_images=4, num_inference_steps=1)).result()
        print(*sys.modules)
        print(gc.get_freeze_count(), len(gc.get_objects()), len(looks), gc.get_threshold() == usual, flush=True)

asyncio.run(paint())
import torch
faults = []
for _ in range(12):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(50_000_000)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
held = own_mib()
heap.trim()
print(min(faults[1:]), held, own_mib(), flush=True)
libc = ctypes.CDLL(None)
if hasattr(libc, "malloc_info"):
    libc.fdopen.restype = ctypes.c_void_p
    told = ctypes.c_void_p(libc.fdopen(1, b"w"))
    libc.malloc_info(0, told)
    libc.fflush(told)
"""
UNUSED = {
    "diffusers.pipelines.auto_pipeline",  # which imports every pipeline
    "diffusers.pipelines.flux",
    "diffusers.models.controlnets.controlnet",
    "transformers.models.t5.modeling_t5",
    "transformers.models.t5gemma.modeling_t5gemma",
    "torch._inductor.compile_fx",
    "spandrel",
    "aiohttp",
    "discord",
}


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What a process says that has painted."""
    command = [sys.executable, "-c", PAINTS]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_grid_of_mini_imports_no_libraries_of_others(said: list[str]) -> None:
    """What diffusers and torch import by themselves can't be helped."""
    loaded = set(said[0].split())
    assert "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion" in loaded
    assert loaded & UNUSED == set()


def test_the_collector_of_garbage_spares_the_libraries(said: list[str]) -> None:
    """It stops every thread while it looks."""
    spared, looked_at = map(int, said[1].split()[:2])
    assert spared > 200_000 > looked_at


def test_the_collector_of_garbage_rests_while_they_are_imported(said: list[str]) -> None:
    """It would look at all that is there by then, five times and more."""
    *_, looks, is_as_before = said[1].split()
    assert (int(looks), is_as_before) == (0, "True")


GNU = hasattr(ctypes.CDLL(None), "malloc_info") and heap._library() is not None


@pytest.mark.skipif(not GNU, reason="asks the GNU C library")
def test_all_threads_share_a_heap(said: list[str]) -> None:
    """One of a thread's own goes back to the system layer by layer."""
    assert sum(line.startswith("<heap nr=") for line in said) == 1


@pytest.mark.skipif(not GNU, reason="asks the GNU C library")
def test_memory_is_kept_for_what_is_computed_next_until_there_is_nothing_to_do(said: list[str]) -> None:
    """200 MB: 50,000 pages that the system had to find, or none once it has those that small things lie between."""
    again, held, left = map(int, said[2].split())
    assert again < 1000
    assert held - left > 150


async def test_an_engine_with_nothing_to_do_gives_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    given, loop = asyncio.Event(), asyncio.get_running_loop()
    monkeypatch.setattr(worker, "REST_S", 0.01)
    monkeypatch.setattr(heap, "trim", lambda: loop.call_soon_threadsafe(given.set))
    async with Engine():
        await asyncio.wait_for(given.wait(), 60)
