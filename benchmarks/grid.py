"""What does a grid of four cost? Against diffusers' one call of four, and its four calls, in one run.

    python -m benchmarks.grid mini       # Easel Mini
    python -m benchmarks.grid modules    # as many modules as SDXL has, whose forwards do nothing: Python alone
    python -m benchmarks.grid sd15 [512] # Stable Diffusion 1.5's full size in bfloat16, random weights, with its load;
    python -m benchmarks.grid sdxl [512] # SDXL's: one picture of so many pixels a side, two steps

Fresh prompts each time, so that no text is known; five rounds in the order A B C C B A, whose halves are added;
processor seconds of the whole process, as medians with their spread; pictures compared; the engine's calls counted.

sd15 at 256 px on two cores that others kept busy (load 11): loading takes 1.97 times what it takes diffusers (the first
hash of 2.1 GB and the gate's model are part of it), two steps and a picture 1.13 times, and the bytes are the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.models import full_sd15, full_sdxl, hollow_sdxl
from engine import Engine, Txt2Img
from engine.diffusion import noise
from engine.diffusion.scheduler_factory import build
from engine.mini import MODEL_DIR

ROUNDS, PICTURES = 5, 4
WAYS, COUNTED = ("plain", "engine"), ("load_cpu_s", "paint_cpu_s", "most_mib")
FULL = {"sd15": full_sd15, "sdxl": full_sdxl}
Way = Callable[[Txt2Img], Awaitable[list[Image.Image]]]


def request(number: int, **changes: Any) -> Txt2Img:
    """A grid whose prompt nobody has read before."""
    facts = {"prompt": f"a red boat number {number}", "seed": 100 * number, "scheduler": "euler", "guidance_scale": 5.0}
    return Txt2Img(**{"num_images": PICTURES, "together": True, **facts, **changes})


class Plain:
    """diffusers alone, of the same files in the same precision."""

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe
        pipe.set_progress_bar_config(disable=True)

    async def one_call(self, asked: Txt2Img) -> list[Image.Image]:
        return self.paint(asked, range(PICTURES))

    async def four_calls(self, asked: Txt2Img) -> list[Image.Image]:
        return [self.paint(asked, [at])[0] for at in range(PICTURES)]

    def paint(self, asked: Txt2Img, cells: Any) -> list[Image.Image]:
        self.pipe.scheduler = build(asked.scheduler or "euler", self.pipe.scheduler, is_own=False)
        with torch.no_grad():
            found = self.pipe(
                prompt=[asked.prompt] * len(cells),
                num_inference_steps=asked.num_inference_steps,
                guidance_scale=asked.guidance_scale,
                width=asked.width,
                height=asked.height,
                generator=[noise.generator((asked.seed or 0) + at) for at in cells],
            )
        pictures: list[Image.Image] = found.images
        return pictures


async def compared(ways: dict[str, Way], **changes: Any) -> dict[str, Any]:
    """Processor seconds of each way, and its ratio to the first, pair by pair."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for name in ways:  # once before it counts
        await ways[name](request(0, **changes))
    for number in range(1, ROUNDS + 1):
        taken = dict.fromkeys(ways, 0.0)
        for half, order in enumerate((list(ways), list(reversed(ways)))):
            for name in order:
                asked = request(2 * number + half, **changes)
                started = time.process_time()
                await ways[name](asked)
                taken[name] += time.process_time() - started
        for name, seconds in taken.items():
            spent[name].append(seconds / 2)
    first = next(iter(ways))
    return {
        name: {
            "cpu_s": round(statistics.median(each), 4),
            "spread": [round(min(each), 4), round(max(each), 4)],
            "ratio": round(statistics.median(a / b for a, b in zip(each, spent[first], strict=True)), 3),
        }
        for name, each in spent.items()
    }


def difference(a: list[Image.Image], b: list[Image.Image]) -> int:
    """The largest difference of any value, in levels."""
    return max(int(np.abs(np.asarray(x, int) - np.asarray(y, int)).max()) for x, y in zip(a, b, strict=True))


async def grids(engine: Engine, plain: Plain, **changes: Any) -> dict[str, Any]:
    async def ours(asked: Txt2Img) -> list[Image.Image]:
        return await engine.submit(asked).result()

    before = (await engine.inspect()).forwards
    asked = request(999, **changes)
    painted = await ours(asked)
    after = (await engine.inspect()).forwards
    ways = {"one call of four": plain.one_call, "four calls": plain.four_calls, "engine": ours}
    return {
        "ways": await compared(ways, **changes),
        "levels apart from four calls": difference(painted, await plain.four_calls(asked)),
        "levels apart from one call": difference(painted, await plain.one_call(asked)),
        "calls": {kind: after[kind].count - before[kind].count for kind in after},
    }


async def mini() -> dict[str, Any]:
    import diffusers

    plain = Plain(diffusers.StableDiffusionPipeline.from_pretrained(MODEL_DIR, safety_checker=None))
    async with Engine("mini", threads=1) as engine:
        return await grids(engine, plain, num_inference_steps=12, width=256, height=256)


async def modules() -> dict[str, Any]:
    import diffusers

    with tempfile.TemporaryDirectory() as folder, hollow_sdxl(Path(folder)) as count:
        plain = Plain(diffusers.StableDiffusionXLPipeline.from_pretrained(folder))
        async with Engine(folder, threads=1) as engine:
            found = await grids(engine, plain, num_inference_steps=4, width=64, height=64)
    return {"modules": count, **found}


def full_size(write: Callable[[Path], None], side: str) -> dict[str, Any]:
    """Each way in a process of its own, in the order A B B A, so that neither finds the other's memory."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        runs = [_alone(way, folder, side) for way in ("plain", "engine", "engine", "plain")]
    found = {way: {name: min(run[name] for run in runs if run["way"] == way) for name in COUNTED} for way in WAYS}
    ratios = {name: round(found["engine"][name] / found["plain"][name], 3) for name in COUNTED}
    same = len({run["picture"] for run in runs}) == 1
    return {**found, "ratios": ratios, "same bytes": same}


def _alone(way: str, folder: str, side: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.grid", way, folder, side]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


async def one(way: str, folder: str, side: str) -> dict[str, Any]:
    """Load a model and paint a picture with it, diffusers' way or the engine's: seconds, and the most memory held."""
    import diffusers

    asked = request(1, num_images=1, num_inference_steps=2, width=int(side), height=int(side))
    started = time.process_time()
    if way == "plain":
        pipe = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=torch.bfloat16)
        plain, loaded_s = Plain(pipe), time.process_time() - started
        pictures = [plain.paint(asked, [0])[0]]
        painted_s = time.process_time() - started - loaded_s
    else:
        async with Engine(folder, threads=1, dtype="bfloat16") as engine:
            while not engine.status().loaded:  # noqa: ASYNC110 - it tells nobody when a load ends
                await asyncio.sleep(0.01)
            loaded_s = time.process_time() - started
            pictures = await engine.submit(asked).result()
            painted_s = time.process_time() - started - loaded_s
    most = most_mib()
    digest = hashlib.sha256(pictures[0].tobytes()).hexdigest()
    return {"way": way, "load_cpu_s": loaded_s, "paint_cpu_s": painted_s, "most_mib": most, "picture": digest}


def most_mib() -> float:
    """The most memory that this program has had; `getrusage` tells the most of whoever started it, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    what, *more = sys.argv[1:] or ["mini"]
    if what in WAYS:
        found = asyncio.run(one(what, *more))
    elif what in FULL:
        found = full_size(FULL[what], *(more or ["512"]))
    else:
        found = asyncio.run({"mini": mini, "modules": modules}[what]())
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
