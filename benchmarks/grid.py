"""What does a grid of four cost? Against diffusers' one call of four, and its four calls, in one run.

    python -m benchmarks.grid mini       # Easel Mini
    python -m benchmarks.grid modules    # as many modules as SDXL has, whose forwards do nothing: Python alone

Fresh prompts each time, so that no text is known; five rounds in the order A B C C B A, whose halves are added;
processor seconds of the whole process, as medians with their spread; pictures compared; the engine's calls counted.
Models of full size are benchmarks/full_size.py's.
"""

from __future__ import annotations

import asyncio
import json
import statistics
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

from benchmarks.models import hollow_sdxl
from engine import Engine, Txt2Img
from engine.diffusion import noise
from engine.diffusion.scheduler_factory import build
from engine.mini import MODEL_DIR

ROUNDS, PICTURES = 5, 4
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


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    what = sys.argv[1] if len(sys.argv) > 1 else "mini"
    print(json.dumps(asyncio.run({"mini": mini, "modules": modules}[what]()), indent=1))


if __name__ == "__main__":
    main()
