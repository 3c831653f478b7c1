"""A long job among floods of short ones, through store, dispatcher and engine: it gets half its fair share at least.

The device sleeps in place of computing, and its steps are counted, so that a busy machine changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.ledger.records import Limits
from bot.store.clock import ManualClock
from engine import Engine
from tests.engine import conftest as big
from tests.services.workbench import Workbench, asked, until, workbench

SHORT, LONG, STEP_S = 4, 40, 0.002
PATIENT = 99


class SleepingDevice:
    """Counts the steps that were made of each job's size."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self, sample: torch.Tensor) -> None:
        self.steps += 1
        time.sleep(STEP_S)


async def flood(bench: Workbench, flooders: int) -> None:
    """More short jobs of each than a long one may have to wait for."""
    each = 2 * LONG * (flooders + 1) // (SHORT * flooders) + 8
    limits = Limits(max_queued=1000, max_queue=10_000, max_server_queue=10_000, max_running=4)
    for user in range(1, flooders + 1):
        jobs = [_job(user, SHORT, seed=number) for number in range(each)]
        await bench.store.enqueue_all(jobs, 0, limits)


def _job(user: int, steps: int, seed: int) -> Any:
    spec = {"num_inference_steps": steps, "guidance_scale": 1.0, "model": "sd1", "seed": seed, "num_images": 1}
    return asked(user_id=user, price_mc=0, **spec)


@pytest.mark.parametrize("flooders", [1, 15])
async def test_a_long_job_gets_half_its_fair_share_at_least(
    flooders: int, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = SleepingDevice()
    big.before_unet(monkeypatch, device.step)
    engine: Any = Engine(str(folders["sd1"]))
    async with workbench(tmp_path, ManualClock(), engine=engine) as bench:
        await flood(bench, flooders)
        await until(lambda: _has_run(device, SHORT * flooders), limit_s=300)
        since = device.steps
        patient = await bench.store.enqueue(
            _job(PATIENT, LONG, seed=1), 0, Limits(max_queue=10_000, max_server_queue=10_000)
        )

        async def done() -> bool:
            return (await bench.store.job(patient.id)).state not in ("queued", "running")

        await until(done, limit_s=300)
        took = device.steps - since
        assert (await bench.store.job(patient.id)).state in ("rendered", "done")
        print(flooders, took, took / (LONG * (flooders + 1)), await bench.store.queue_length())
    assert took <= 2 * LONG * (flooders + 1)


async def _has_run(device: SleepingDevice, steps: int) -> bool:
    await asyncio.sleep(0)
    return device.steps >= steps
