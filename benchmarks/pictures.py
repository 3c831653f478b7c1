"""What do the bytes of a job cost? Processor seconds of four pictures, from pixels to what is posted.

    python -m benchmarks.pictures [side in pixels]

Four pictures of soft forms and grain are stored as PNGs, and put together as the grid that is sent; five times, in
alternation with Pillow's own default for PNG, which is what files cost without any thought.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

from bot.delivery import image_tools
from engine.api import metadata
from engine.api.recipe import Recipe

LIMIT_BYTES = 10 << 20
ROUNDS = 5
REQUEST = {
    "prompt": "a red boat", "negative_prompt": "", "scheduler": "euler",
    "num_inference_steps": 20, "guidance_scale": 4.0, "width": 1024, "height": 1024,
}  # fmt: skip


def picture(seed: int, side: int) -> Image.Image:
    """Soft forms with less and less of the finer ones, as in nature, and grain."""
    dice = np.random.default_rng(seed)
    found = np.zeros((side, side, 3))
    for cells in (4, 8, 16, 32, 64, 128, 256):
        coarse = Image.fromarray(dice.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        found += np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), float) / cells
    found = 255 * (found - found.min()) / (found.max() - found.min()) + dice.normal(0, 2, found.shape)
    return Image.fromarray(found.clip(0, 255).astype(np.uint8))


def recipe(index: int) -> Recipe:
    return Recipe(
        task="txt2img", request=REQUEST, index=index, seed=index, model="mini", model_sha256="0" * 64,
        mode="exact", dtype="float32", device="cpu", rows=2, versions={}, adapters={},
    )  # fmt: skip


def ours(pictures: list[Image.Image]) -> bytes:
    for index, each in enumerate(pictures):
        metadata.encode_png(each, recipe(index))
    return image_tools.fit(image_tools.grid(pictures, 2), "easel", LIMIT_BYTES, recipe=recipe(0)).data


def plain(pictures: list[Image.Image]) -> bytes:
    for each in pictures:
        each.save(io.BytesIO(), "PNG")
    out = io.BytesIO()
    image_tools.grid(pictures, 2).save(out, "PNG")
    return out.getvalue()


def cpu_s(work: Callable[[list[Image.Image]], bytes], pictures: list[Image.Image]) -> float:
    started = time.process_time()
    work(pictures)
    return time.process_time() - started


def main(side: int) -> None:
    pictures = [picture(seed, side) for seed in range(4)]
    found: dict[str, list[float]] = {"ours": [], "plain": []}
    for turn in range(ROUNDS):
        for name, work in (("ours", ours), ("plain", plain))[:: 1 if turn % 2 else -1]:
            found[name].append(cpu_s(work, pictures))
    for name, times in found.items():
        print(f"{name}: {statistics.median(times):.2f} CPU-s ({min(times):.2f} to {max(times):.2f})")
    ratio = statistics.median(a / b for a, b in zip(found["ours"], found["plain"], strict=True))
    print(f"4 x {side} px, ratio {ratio:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1024)
