"""How much does sharing the engine cost, and what does it buy? Ratios from one run, against plain diffusers.

    python benchmarks/engine.py            # Easel Mini on the CPU
    python benchmarks/engine.py --gpu      # SD 1.5 and SDXL of full size, random weights, on a CUDA device

1. Eight mixed jobs through the engine against the plain pipelines one after the other: total seconds.
2. A Poisson load of short and long jobs at 0.9 of the capacity: short jobs' p95, first-come-first-served whole
   pipelines against the engine, on the same arrivals; and the throughput of both.
3. The event loop's lag while the engine is saturated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

sys.path[0] = str(Path(__file__).resolve().parents[1])  # not this folder, whose engine.py would hide the package

from engine import Engine, Img2Img, Txt2Img  # noqa: E402
from engine.mini import MODEL_DIR  # noqa: E402

SEED = 7
SHORT_STEPS, LONG_STEPS = 4, 48
SHORT_SHARE = 0.8
LOAD = 0.9
TICK_S = 0.005


def mixed_jobs(side: int) -> list[Txt2Img]:
    """Eight jobs that differ in scheduler, steps, guidance and task."""
    size: dict[str, Any] = {"width": side, "height": side}
    names = ("euler", "euler_a", "dpmpp_2m", "ddim", "unipc", "heun")
    jobs: list[Txt2Img] = [
        Txt2Img(
            prompt=f"a red boat {i}",
            seed=i,
            scheduler=n,
            num_inference_steps=12 + 2 * i,
            guidance_scale=3.0 + i,
            **size,
        )
        for i, n in enumerate(names)
    ]
    start = Image.new("RGB", (side, side), "teal")
    jobs.append(
        Txt2Img(prompt="a blue fish", seed=8, num_inference_steps=16, guidance_scale=1.0, scheduler="euler", **size)
    )
    jobs.append(
        Img2Img(
            prompt="a pine",
            seed=9,
            num_inference_steps=20,
            guidance_scale=4.0,
            scheduler="euler",
            init_image=start,
            **size,
        )
    )
    return jobs


class Plain:
    """Diffusers alone: whole pipelines, one after the other."""

    def __init__(self, folder: str, dtype: Any, device: str) -> None:
        import diffusers
        import torch

        self._torch, self._device = torch, device
        self.text: Any = diffusers.AutoPipelineForText2Image.from_pretrained(folder, dtype=dtype).to(device)
        self.image: Any = diffusers.AutoPipelineForImage2Image.from_pipe(self.text)
        for pipe in (self.text, self.image):
            pipe.set_progress_bar_config(disable=True)

    def paint(self, request: Txt2Img) -> None:
        from engine.diffusion.scheduler_factory import build

        common: dict[str, Any] = {
            "prompt": request.prompt,
            "num_inference_steps": request.num_inference_steps,
            "guidance_scale": request.guidance_scale,
            "generator": self._torch.Generator().manual_seed(request.seed or 0),
        }
        pipe = self.image if isinstance(request, Img2Img) else self.text
        pipe.scheduler = build(request.scheduler or "euler", pipe.scheduler, is_own=False)
        if isinstance(request, Img2Img):
            pipe(image=request.init_image, strength=request.strength, **common)
        else:
            pipe(width=request.width, height=request.height, **common)
        if self._device == "cuda":
            self._torch.cuda.synchronize()


async def together(engine: Engine, jobs: list[Txt2Img]) -> float:
    """Seconds for all jobs, submitted at once by as many users."""
    started = time.perf_counter()
    tickets = [engine.submit(job, user=str(i)) for i, job in enumerate(jobs)]
    for ticket in tickets:
        await ticket.result()
    return time.perf_counter() - started


async def overhead(engine: Engine, plain: Plain, jobs: list[Txt2Img], rounds: int) -> dict[str, float]:
    """Alternate both ways, so that whatever else the machine does hits both; compare medians."""
    await together(engine, jobs)
    for job in jobs:
        plain.paint(job)
    ours, theirs = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        for job in jobs:
            plain.paint(job)
        theirs.append(time.perf_counter() - started)
        ours.append(await together(engine, jobs))
    return {
        "engine_s": statistics.median(ours),
        "plain_s": statistics.median(theirs),
        "ratio": statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
    }


def arrivals(side: int, count: int, short_s: float, long_s: float) -> list[tuple[float, bool, Txt2Img]]:
    """(second, is short, job): Poisson arrivals that keep the device busy for `LOAD` of the time."""
    dice = random.Random(SEED)
    mean_s = SHORT_SHARE * short_s + (1 - SHORT_SHARE) * long_s
    plan, now = [], 0.0
    for i in range(count):
        now += dice.expovariate(LOAD / mean_s)
        short = dice.random() < SHORT_SHARE
        steps = SHORT_STEPS if short else LONG_STEPS
        job = Txt2Img(
            prompt="a cat",
            seed=i,
            num_inference_steps=steps,
            guidance_scale=4.0,
            scheduler="euler",
            width=side,
            height=side,
        )
        plan.append((now, short, job))
    return plan


def first_come(plain: Plain, plan: list[tuple[float, bool, Txt2Img]]) -> dict[str, Any]:
    """Whole pipelines in order of arrival, really painted; who arrives early waits, and so does the painter."""
    started, waits = time.perf_counter(), []
    for at, short, job in plan:
        time.sleep(max(0.0, at - (time.perf_counter() - started)))
        plain.paint(job)
        waits.append((short, time.perf_counter() - started - at))
    return _summary(waits, time.perf_counter() - started)


async def shared(engine: Engine, plan: list[tuple[float, bool, Txt2Img]]) -> dict[str, Any]:
    started, waits = time.perf_counter(), []

    async def one(at: float, short: bool, job: Txt2Img, user: str) -> None:
        await asyncio.sleep(max(0.0, at - (time.perf_counter() - started)))
        await engine.submit(job, user=user).result()
        waits.append((short, time.perf_counter() - started - at))

    await asyncio.gather(*(one(*entry, f"user{i % 7}") for i, entry in enumerate(plan)))
    return _summary(waits, time.perf_counter() - started)


def _summary(waits: list[tuple[bool, float]], total_s: float) -> dict[str, Any]:
    def p95(short: bool) -> float:
        return statistics.quantiles([s for kind, s in waits if kind == short] * 2, n=20)[-1]

    return {"short_p95_s": p95(True), "long_p95_s": p95(False), "jobs_per_s": len(waits) / total_s}


async def lag(engine: Engine, jobs: list[Txt2Img]) -> dict[str, float]:
    """How late a 5 ms timer of the event loop fires while the engine never rests."""
    work = asyncio.create_task(together(engine, [replace(job, num_images=2) for job in jobs]))
    late = []
    while not work.done():
        due = time.perf_counter() + TICK_S
        await asyncio.sleep(TICK_S)
        late.append((time.perf_counter() - due) * 1000)
    await work
    return {"p50_ms": statistics.median(late), "p99_ms": statistics.quantiles(late, n=100)[-1], "max_ms": max(late)}


async def measure(folder: str, side: int, *, device: str, rounds: int, count: int) -> dict[str, Any]:
    import torch

    if device == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))  # both sides the same
    jobs = mixed_jobs(side)
    plain = Plain(folder, torch.float32 if device == "cpu" else torch.bfloat16, device)
    async with Engine(folder, device=device) as engine:
        found: dict[str, Any] = {"eight_jobs": await overhead(engine, plain, jobs, rounds)}
        short = arrivals(side, 1, 1.0, 1.0)[0][2]
        times = []
        for steps in (SHORT_STEPS, LONG_STEPS):
            started = time.perf_counter()
            plain.paint(replace(short, num_inference_steps=steps))
            times.append(time.perf_counter() - started)
        plan = arrivals(side, count, *times)
        fcfs, ours = first_come(plain, plan), await shared(engine, plan)
        found["load_0.9"] = {
            "first_come": fcfs,
            "engine": ours,
            "short_p95_ratio": ours["short_p95_s"] / fcfs["short_p95_s"],
            "throughput_ratio": ours["jobs_per_s"] / fcfs["jobs_per_s"],
        }
        found["loop_lag"] = await lag(engine, jobs)
    return found


def random_model(name: str, folder: Path) -> str:
    """A full-size pipeline of random weights: speed does not depend on their values."""
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    assert name == "sd15", name
    with torch.device("cuda"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
        )
    pipe = StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=CLIPTextModel(CLIPTextConfig(hidden_size=768, num_attention_heads=12, intermediate_size=3072)),
        tokenizer=CLIPTokenizer.from_pretrained(MODEL_DIR / "tokenizer", model_max_length=77),
        scheduler=EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder / name)
    return str(folder / name)


def hardware() -> dict[str, Any]:
    import torch

    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "gpu": gpu,
        "torch": torch.__version__,
        "commit": commit.stdout.strip(),
        "command": " ".join(["python", *sys.argv]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--gpu", action="store_true", help="full-size SD 1.5 on CUDA instead of Mini on the CPU")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions of the eight jobs")
    parser.add_argument("--count", type=int, default=60, help="jobs of the 0.9 load")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    print(json.dumps(hardware(), indent=1))
    if not asked.gpu:
        found = asyncio.run(measure(str(MODEL_DIR), 256, device="cpu", rounds=asked.rounds, count=asked.count))
        print(json.dumps(found, indent=1))
        return
    with tempfile.TemporaryDirectory() as folder:
        model = random_model("sd15", Path(folder))
        print(
            json.dumps(
                asyncio.run(measure(model, 512, device="cuda", rounds=asked.rounds, count=asked.count)), indent=1
            )
        )


if __name__ == "__main__":
    main()
