"""What do six members gain who change pictures at once? Throughput against one after another, and the same pictures.

    python benchmarks/edits.py             # an InstructPix2Pix of many tiny modules: bound by launches, as a GPU is
    python benchmarks/edits.py --sleeping 30   # each call of the UNet takes 30 ms more, however many rows it has
    python benchmarks/edits.py --rounds 9

The engine runs as it is shipped (`exact`): it measures how many rows a call gains from, and pins that. On a CPU it
would not look, because real models gain nothing there; this one does. Both ways alternate, each round gives one
ratio, and every picture is compared with the one that was painted alone. On a machine that does other things besides, a
sleeping device tells more: what the processor computes weighs little there.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageDraw

sys.path[0] = str(Path(__file__).resolve().parents[1])

from engine import Edit, Engine  # noqa: E402
from engine.mini import MODEL_DIR  # noqa: E402

MEMBERS, SIDE_PX = 6, 64
WORDS = ("make it blue", "remove the moon", "at night", "as pixel art", "a bigger cat", "swap them")
WANTED = 1.3


def build(folder: Path) -> None:
    """Save an InstructPix2Pix with Mini's words and pictures, and a UNet of about as many modules as SD 1.5's."""
    import torch
    from diffusers import StableDiffusionInstructPix2PixPipeline, StableDiffusionPipeline, UNet2DConditionModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=SIDE_PX // 16,
        in_channels=8,
        out_channels=4,
        block_out_channels=(16, 16, 16),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=3,
        cross_attention_dim=128,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    parts = StableDiffusionPipeline.from_pretrained(MODEL_DIR, local_files_only=True).components
    parts |= {"unet": unet, "requires_safety_checker": False}
    StableDiffusionInstructPix2PixPipeline(**parts).save_pretrained(folder)


def asleep(call_ms: float) -> None:
    """Have every call of a UNet take so much longer, as one whose launches are what takes time."""
    from diffusers import UNet2DConditionModel

    forward = UNet2DConditionModel.forward

    @functools.wraps(forward)  # the engine reads the names of its arguments
    def slowly(self: Any, *args: Any, **kwargs: Any) -> Any:
        time.sleep(call_ms / 1000)
        return forward(self, *args, **kwargs)

    UNet2DConditionModel.forward = slowly


def edits() -> list[Edit]:
    """Six members' edits, which differ in picture, words, steps, guidance and seed."""
    found = []
    for number, words in enumerate(WORDS):
        picture = Image.new("RGB", (SIDE_PX, SIDE_PX), (40 * number, 90, 200 - 30 * number))
        ImageDraw.Draw(picture).ellipse((8 + number, 12, 40 + number, 50), fill="yellow")
        found.append(
            Edit(
                prompt=words,
                images=(picture,),
                seed=number,
                num_inference_steps=10 + number,
                guidance_scale=3.0 + number,
                width=SIDE_PX,
                height=SIDE_PX,
            )
        )
    return found


async def alone(engine: Engine, jobs: list[Edit]) -> tuple[float, list[Image.Image]]:
    """Seconds for one after another, and the pictures."""
    started = time.perf_counter()
    pictures = [(await engine.submit(job, user="0").result())[0] for job in jobs]
    return time.perf_counter() - started, pictures


async def at_once(engine: Engine, jobs: list[Edit]) -> tuple[float, list[Image.Image]]:
    """Seconds for all of them, asked for at once by as many members, and the pictures."""
    started = time.perf_counter()
    tickets = [engine.submit(job, user=str(number)) for number, job in enumerate(jobs)]
    pictures = [(await ticket.result())[0] for ticket in tickets]
    return time.perf_counter() - started, pictures


async def run(folder: str, rounds: int) -> dict[str, Any]:
    """Alternate both ways."""
    jobs, ratios, seconds, same = edits(), [], [], True
    async with Engine(folder) as engine:
        _, wanted = await alone(engine, jobs)
        await at_once(engine, jobs)
        for _ in range(rounds):
            one_s, _ = await alone(engine, jobs)
            all_s, pictures = await at_once(engine, jobs)
            ratios.append(one_s / all_s)
            seconds.append((one_s, all_s))
            same &= all(ImageChops.difference(a, b).getbbox() is None for a, b in zip(wanted, pictures, strict=True))
        denoised = (await engine.inspect()).forwards["denoise"]
    return {
        "members": MEMBERS,
        "rounds": rounds,
        "ratio_median": round(statistics.median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2),
        "seconds_alone_median": round(statistics.median(one for one, _ in seconds), 2),
        "seconds_at_once_median": round(statistics.median(every for _, every in seconds), 2),
        "most_rows_joined": denoised.most_joined,
        "same_pictures": same,
        "reached": statistics.median(ratios) >= WANTED and same,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sleeping", type=float, default=0, help="milliseconds of each call")
    chosen = parser.parse_args()
    import torch

    from engine.device import devices

    torch.set_num_threads(1)
    if not torch.cuda.is_available():
        devices.gains_from_rows = lambda device: True  # this model's calls do
    if chosen.sleeping:
        asleep(chosen.sleeping)
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        print(json.dumps(asyncio.run(run(folder, chosen.rounds)), indent=2))


if __name__ == "__main__":
    main()
