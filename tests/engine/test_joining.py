"""Families beside the four big ones: alone as diffusers paints them to the last bit, together within rounding."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from engine import Engine, ImageReady, Img2Img, Preview, Progress, Txt2Img
from engine.diffusion import preview
from tests.engine import zoo
from tests.engine.conftest import from_folder, gain_from_rows
from tests.engine.test_parity import RED, ROUNDING, _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

BOX = Image.Resampling.BOX
SIZE = {"width": 64, "height": 64}
FAMILIES = (
    "flux2",
    "flux2-klein",
    "flux-kontext",
    "qwen-image",
    "z-image",
    "lumina2",
    "auraflow",
    "chroma",
    "pixart",
    "sana",
)
PAINT: dict[str, Any] = {"prompt": "a red boat", "seed": 7, "num_inference_steps": 3, "guidance_scale": 4.0, **SIZE}
OTHER_WORDS = "a blue moon with the dog"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return zoo.build(tmp_path_factory.mktemp("zoo"), FAMILIES)


def ask(**changes: Any) -> Txt2Img:
    return Txt2Img(**{**PAINT, **changes})


@functools.cache
def loaded(folder: Path) -> Any:
    pipe = from_folder(folder)
    if hasattr(pipe, "controlnet"):
        pipe = diffusers.AutoPipelineForText2Image.from_pipe(pipe, controlnet=None)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def own(folder: Path, request: Txt2Img) -> Image.Image:
    """The same picture from diffusers, called as the family's card has it."""
    pipe = copy.copy(loaded(folder))
    if isinstance(request, Img2Img):
        pipe = diffusers.AutoPipelineForImage2Image.from_pipe(pipe)
        pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = copy.deepcopy(pipe.scheduler)
    takes = inspect.signature(pipe.__call__).parameters
    unwanted = request.negative_prompt or None
    named: dict[str, Any] = {
        "guidance_scale": request.guidance_scale,
        "negative_prompt": unwanted,
    }
    if "true_cfg_scale" in takes:
        if pipe.transformer.config.get("guidance_embeds"):
            named["true_cfg_scale"] = 2.0 if request.negative_prompt else None
        else:
            blank = " " if (request.guidance_scale or 0) > 1 else None
            named = {"true_cfg_scale": request.guidance_scale, "negative_prompt": unwanted or blank}
    if isinstance(request, Img2Img):
        named |= {"image": request.init_image, "strength": request.strength}
    named |= {"max_area": SIZE["width"] * SIZE["height"], "_auto_resize": False, "guidance_schedule": None}
    if "guidance_scale" not in takes:
        named["prior_guidance_scale"] = request.guidance_scale
    if "HunyuanDiT" in type(pipe).__name__:
        named["use_resolution_binning"] = False
    named |= {"prompt": request.prompt, "num_inference_steps": request.num_inference_steps}
    named |= {"width": request.width, "height": request.height}
    generator = torch.Generator().manual_seed(request.seed or 0)
    said = {name for name, value in named.items() if value is not None or name == "guidance_schedule"}
    named = {name: value for name, value in named.items() if name in takes and name in said}
    return pipe(generator=generator, **named).images[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("family", FAMILIES)
async def test_alone_it_is_diffusers_own(models: dict[str, Path], family: str) -> None:
    async with Engine(str(models[family])) as engine:
        (info,) = engine.models()
        requests = [ask(negative_prompt="a dog" if info.negative_prompts else ""), ask(guidance_scale=1.0)]
        if "img2img" in info.tasks:
            requests.append(Img2Img(init_image=RED, strength=0.7, **PAINT))
        for request in requests:
            image = (await engine.submit(request).result())[0]
            assert difference(image, own(models[family], request)) == 0.0, request


@pytest.mark.parametrize("family", FAMILIES)
async def test_together_it_differs_by_rounding_only(models: dict[str, Path], family: str) -> None:
    requests = [ask(), ask(seed=8, num_inference_steps=4), ask(seed=9, guidance_scale=2.0), ask(prompt=OTHER_WORDS)]
    async with Engine(str(models[family]), mode="fast") as engine:
        tickets = [engine.submit(request, user=str(i)) for i, request in enumerate(requests)]
        images = [(await ticket.result())[0] for ticket in tickets]
        denoised = (await engine.inspect()).forwards["denoise"]
    assert denoised.most_joined > 1
    for request, image in zip(requests, images, strict=True):
        assert difference(image, own(models[family], request)) <= ROUNDING, request


@pytest.mark.parametrize("family", FAMILIES)
async def test_exact_mode_gives_the_same_bytes_in_any_company(
    models: dict[str, Path], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask()
    gain_from_rows(monkeypatch, 4)
    async with Engine(str(models[family])) as engine:
        alone = (await engine.submit(request).result())[0]
        words = (request.prompt, OTHER_WORDS)
        crowd = [engine.submit(ask(seed=20 + n, prompt=each), user=str(n)) for n, each in enumerate(words)]
        await asyncio.sleep(0.01)
        late = (await engine.submit(request, user="late").result())[0]
        for ticket in crowd:
            await ticket.result()
        denoised = (await engine.inspect()).forwards["denoise"]
    assert denoised.most_joined > 1
    assert late.tobytes() == alone.tobytes()


@pytest.mark.parametrize("family", FAMILIES)
async def test_steps_are_told_one_by_one_and_the_picture_shows_early(
    models: dict[str, Path], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Near the end a preview is all but the picture; steps are counted where guidance makes two calls of one, too."""
    monkeypatch.setattr(preview, "MIN_INTERVAL_S", 0.0)
    monkeypatch.setattr(preview, "SHARE_ALONE", 1e9)
    monkeypatch.setattr(preview, "TINY_VAE", 1 << 30)
    async with Engine(str(models[family])) as engine:
        events = [event async for event in engine.submit(ask(num_inference_steps=10))]
    early, late = (
        next(event.image for event in reversed(events) if isinstance(event, kind)) for kind in (Preview, ImageReady)
    )
    assert {event.steps for event in events if isinstance(event, Progress)} == {10}
    one, other = (np.asarray(picture.convert("RGB").resize((32, 32), BOX), float).ravel() for picture in (early, late))
    assert np.corrcoef(one, other)[0, 1] > 0.9
