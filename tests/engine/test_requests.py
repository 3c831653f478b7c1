"""What a request can say, and what becomes of it: prompts, variations, tiling, trouble, fairness, events."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import (
    Backend,
    Cancelled,
    Engine,
    EngineClosed,
    EngineError,
    Event,
    Failed,
    Finished,
    ImageReady,
    InvalidRequest,
    ModelUnloadable,
    OutOfMemory,
    Preview,
    Progress,
    Queued,
    QueueFull,
    RenderFailed,
    Started,
    Txt2Img,
    UnknownModel,
    UnknownScheduler,
    Variation,
)
from engine.api import metadata
from engine.device.tiling import circular
from engine.fake import FakeEngine
from engine.models import catalog
from tests.engine.conftest import before_unet


def ask(**changes: Any) -> Txt2Img:
    facts = {"prompt": "a red boat", "seed": 7, "num_inference_steps": 4, "guidance_scale": 5.0}
    return Txt2Img(**{**facts, "width": 64, "height": 64, **changes})


@pytest.fixture
async def engine(folders: dict[str, Path]) -> AsyncIterator[Engine]:
    async with Engine(str(folders["sd1"]), models={"sdxl": str(folders["sdxl"]), "flux": str(folders["flux"])}) as made:
        yield made


async def one(engine: Engine, **changes: Any) -> bytes:
    return (await engine.submit(ask(**changes)).result())[0].tobytes()


@pytest.mark.parametrize("model", ["sd1", "sdxl"])
async def test_prompt_language(engine: Engine, model: str) -> None:
    plain = await one(engine, model=model)
    assert await one(engine, model=model, prompt="a (red:1.5) boat") != plain
    assert await one(engine, model=model, prompt="a (red:1.5) boat") == await one(
        engine, model=model, prompt="a (red:1.5) boat"
    )
    assert await one(engine, model=model, prompt="a [red] boat") != plain
    assert await one(engine, model=model, prompt="a BREAK red boat") != plain
    long = "a red boat " * 20
    assert await one(engine, model=model, prompt=long + "x") != await one(engine, model=model, prompt=long + "y")


async def test_clip_skip_and_tiling_change_their_own_job_only(engine: Engine) -> None:
    before = await one(engine)
    assert len({before, await one(engine, clip_skip=1), await one(engine, tiling=True)}) == 3
    assert await one(engine) == before


async def test_tiles_close_their_edges(tiny_vae: Any, engine: Engine) -> None:
    """On a torus nothing is special about the edge: a rolled input gives the rolled picture, and only then."""
    vae = tiny_vae
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    moved = latents.roll((3, 5), (2, 3))
    with torch.no_grad(), circular(vae):
        expected = vae.decode(latents).sample.roll((6, 10), (2, 3))
        assert torch.allclose(vae.decode(moved).sample, expected, atol=1e-4)
    with torch.no_grad():
        assert not torch.allclose(vae.decode(moved).sample, expected, atol=1e-2)
    with pytest.raises(InvalidRequest, match="tiles"):
        engine.submit(ask(model="flux", tiling=True))


async def test_variations_are_near_reproducible_and_their_own_base_at_zero(engine: Engine) -> None:
    def vary(strength: float, **more: Any) -> Any:
        return engine.submit(ask(variations=(Variation(seed=99, strength=strength),), **more)).result()

    base = np.asarray((await engine.submit(ask()).result())[0]).astype(float)
    grid = await vary(0.15, num_images=4)
    assert [g.tobytes() for g in grid] == [g.tobytes() for g in await vary(0.15, num_images=4)]
    assert len({g.tobytes() for g in grid}) == 4
    near, far = [np.abs(np.asarray((await vary(s))[0]) - base).mean() for s in (0.15, 0.9)]
    assert 0 < near < far
    assert np.array_equal(np.asarray((await vary(0.0))[0]), base)


async def test_events_come_in_order_and_the_png_tells_the_recipe(engine: Engine) -> None:
    events: list[Event] = [event async for event in engine.submit(ask(num_images=2, num_inference_steps=10))]
    kinds = [type(e) for e in events]
    assert kinds[0] is Queued
    assert kinds[-1] is Finished
    assert kinds.index(Started) < kinds.index(Progress) < kinds.index(ImageReady)
    assert Preview in kinds
    last = [e for e in events if isinstance(e, Progress)][-1]
    assert (last.step, last.steps) == (20, 20)
    ready = next(e for e in events if isinstance(e, ImageReady))
    recipe = metadata.decode(metadata.encode_png(ready.image, ready.recipe))
    assert recipe == ready.recipe
    assert (recipe.rows, recipe.mode, recipe.seed, recipe.request["scheduler"]) == (2, "exact", 7, "euler")


async def test_cancel_stops_a_running_and_a_waiting_job(engine: Engine) -> None:
    long = engine.submit(ask(num_inference_steps=150, num_images=4))
    waiting = engine.submit(ask(num_inference_steps=150, num_images=8))
    async for event in long:
        if isinstance(event, Progress):
            waiting.cancel()
            long.cancel()
    assert isinstance(event, Cancelled)
    with pytest.raises(asyncio.CancelledError):
        await waiting.result()
    assert await one(engine)


async def test_what_cannot_be_done_is_refused_at_submit(engine: Engine) -> None:
    with pytest.raises(UnknownModel, match="sdxl"):
        engine.submit(ask(model="nope"))
    with pytest.raises(UnknownScheduler):
        engine.submit(ask(scheduler="nope"))
    with pytest.raises(InvalidRequest, match="scheduler"):
        engine.submit(ask(model="flux", scheduler="ddim"))
    with pytest.raises(ModelUnloadable, match="pickle"):
        Engine("evil.ckpt")
    with pytest.raises(ModelUnloadable):
        Engine("/no/such/folder")


@pytest.mark.parametrize(("levels", "side", "step"), [(4, 128, 8), (5, 256, 16)])
def test_sides_follow_the_autoencoders_depth(tmp_path: Path, levels: int, side: int, step: int) -> None:
    parts = {
        "model_index.json": {"_class_name": "StableDiffusionPipeline"},
        "unet/config.json": {"sample_size": 16},
        "vae/config.json": {"block_out_channels": [16] * levels},
    }
    for name, config in parts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(config))
    info = catalog.describe(catalog.source("deep", str(tmp_path)))
    assert (info.width, info.height, info.multiple_px) == (side, side, step)


async def test_queue_full_and_closed(folders: dict[str, Path]) -> None:
    engine = Engine(str(folders["sd1"]), max_queue=1)
    ticket = engine.submit(ask())
    with pytest.raises(QueueFull):
        engine.submit(ask())
    await engine.close()
    with pytest.raises(EngineClosed):
        await ticket.result()
    with pytest.raises(EngineClosed):
        engine.submit(ask())


async def test_out_of_memory_halves_the_batch(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    async with Engine(str(folders["sd1"]), mode="fast") as engine:
        expected = await engine.submit(ask(num_images=4)).result()
        seen = []

        def check(sample: torch.Tensor) -> None:
            seen.append(len(sample))
            if len(sample) > 2:
                raise torch.OutOfMemoryError("full")

        before_unet(monkeypatch, check)
        images = await engine.submit(ask(num_images=4)).result()
    assert max(seen) > 2
    assert seen[-1] == 2
    for a, b in zip(expected, images, strict=True):
        assert np.abs(np.asarray(a).astype(int) - np.asarray(b)).max() <= 1


@pytest.mark.parametrize(
    ("error", "told"), [(torch.OutOfMemoryError("full"), OutOfMemory), (ValueError("odd"), RenderFailed)]
)
async def test_a_job_that_fails_takes_nobody_along(
    engine: Engine, error: Exception, told: type[EngineError], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = await one(engine)

    def fail(sample: torch.Tensor) -> None:
        raise error

    with monkeypatch.context() as patch:
        before_unet(patch, fail)
        bad = engine.submit(ask())
        assert isinstance([event async for event in bad][-1], Failed)
        with pytest.raises(told):
            await bad.result()
    assert await one(engine) == good


async def test_a_job_that_never_fits_ends_though_its_images_were_joined(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first image ends it, while the others still are in the halves that were to be tried."""

    def full(sample: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("full")

    async with Engine(str(folders["sd1"]), mode="fast") as engine:
        good = await one(engine)
        with monkeypatch.context() as patch:
            before_unet(patch, full)
            with pytest.raises(OutOfMemory):
                await engine.submit(ask(num_images=4)).result()
        assert await one(engine) == good


async def test_a_busy_user_does_not_block_another(engine: Engine) -> None:
    await one(engine)
    busy = [engine.submit(ask(num_inference_steps=60, num_images=4), user="busy") for _ in range(5)]
    await engine.submit(ask(), user="other").result()
    assert sum(t.ended for t in busy) <= 1
    for ticket in busy:
        ticket.cancel()


def test_both_engines_are_backends_and_import_no_torch() -> None:
    code = "import engine, engine.fake, engine.api.metadata, engine.mini, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    backends: list[type[Backend]] = [Engine, FakeEngine]
    assert len(backends) == 2
