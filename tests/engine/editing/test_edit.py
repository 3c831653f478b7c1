"""Edits by words: alone as diffusers paints them to the last bit, together within rounding."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus
from PIL import Image, ImageDraw

from engine import Edit, Engine, InvalidRequest
from engine.api.model_info import ModelInfo
from engine.tasks.edit import KEEPS_LEAST, KEEPS_MOST
from tests.engine.conftest import from_folder, gain_from_rows
from tests.engine.editing import editors
from tests.engine.test_parity import ROUNDING, _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

SIZE = {"width": 64, "height": 64}
AREA_PX = 64 * 64
SEVERAL = ("flux2", "flux2-klein", "qwen-edit-plus")  # look at more than one picture
JOINED = tuple(editors.BUILDERS)
CHANGE: dict[str, Any] = {"prompt": "a red boat", "seed": 7, "num_inference_steps": 3, "guidance_scale": 4.0, **SIZE}


def _drawn(colour: str, box: tuple[int, int, int, int]) -> Image.Image:
    image = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    ImageDraw.Draw(image).ellipse(box, fill=colour)
    return image


BOAT, MOON = _drawn("red", (8, 20, 50, 60)), _drawn("yellow", (30, 4, 60, 34))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return editors.build(tmp_path_factory.mktemp("editors"))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Qwen-Image's editors look at a megapixel whatever they paint; here at as many pixels as there are."""
    monkeypatch.setattr(pipeline_qwenimage_edit, "calculate_dimensions", lambda area, ratio: (64, 64, None))
    monkeypatch.setattr(pipeline_qwenimage_edit_plus, "CONDITION_IMAGE_SIZE", AREA_PX)
    monkeypatch.setattr(pipeline_qwenimage_edit_plus, "VAE_IMAGE_SIZE", AREA_PX)


def ask(**changes: Any) -> Edit:
    return Edit(**{"images": (BOAT,), **CHANGE, **changes})


def every_way(info: ModelInfo) -> list[Edit]:
    """One request for each thing that the model can be told."""
    return [
        ask(negative_prompt="a dog" if info.negative_prompts else ""),
        *([ask(strength=0.4)] if info.kept_by else []),
        *([ask(images=(BOAT, MOON))] if info.edited_pictures > 1 else []),
    ]


@functools.cache
def loaded(folder: Path) -> Any:
    pipe = from_folder(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def own(folder: Path, request: Edit) -> Image.Image:
    """The same picture from diffusers, called as the family's card has it."""
    pipe = copy.copy(loaded(folder))
    pipe.scheduler = copy.deepcopy(pipe.scheduler)
    takes = inspect.signature(pipe.__call__).parameters
    pictures = list(request.images)
    named: dict[str, Any] = {
        "guidance_scale": request.guidance_scale,
        "negative_prompt": request.negative_prompt or None,
        "image": pictures if "list" in str(takes["image"].annotation) and len(pictures) > 1 else pictures[0],
        "_auto_resize": False,
    }
    if "Qwen" in type(pipe).__name__:
        named |= {"true_cfg_scale": named.pop("guidance_scale"), "negative_prompt": request.negative_prompt or " "}
        named["image"] = pictures if "Plus" in type(pipe).__name__ else pictures[0]
    elif "true_cfg_scale" in takes and request.negative_prompt:
        named["true_cfg_scale"] = 2.0
    if request.strength is not None:
        named["image_guidance_scale"] = KEEPS_MOST + (KEEPS_LEAST - KEEPS_MOST) * request.strength
    named |= {"prompt": request.prompt, "num_inference_steps": request.num_inference_steps, "max_area": AREA_PX, **SIZE}
    named = {name: value for name, value in named.items() if name in takes and value is not None}
    return pipe(generator=torch.Generator().manual_seed(request.seed or 0), **named).images[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("family", editors.BUILDERS)
async def test_alone_it_is_diffusers_own(models: dict[str, Path], family: str) -> None:
    async with Engine(str(models[family])) as engine:
        (info,) = engine.models()
        assert "edit" in info.tasks
        for request in every_way(info):
            (image,) = await engine.submit(request).result()
            assert difference(image, own(models[family], request)) == 0.0, request


@pytest.mark.parametrize("family", JOINED)
async def test_together_it_differs_by_rounding_only(models: dict[str, Path], family: str) -> None:
    requests = [
        ask(),
        ask(seed=8, num_inference_steps=4),
        ask(seed=9, guidance_scale=2.0),
        ask(images=(MOON,)),
    ]
    async with Engine(str(models[family]), mode="fast") as engine:
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate(requests)]
        images = [(await ticket.result())[0] for ticket in tickets]
        denoised = (await engine.inspect()).forwards["denoise"]
    assert denoised.most_joined > 1
    for request, image in zip(requests, images, strict=True):
        assert difference(image, own(models[family], request)) <= ROUNDING, request


@pytest.mark.parametrize("family", JOINED)
async def test_exact_mode_gives_the_same_bytes_in_any_company(
    models: dict[str, Path], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gain_from_rows(monkeypatch, 8)  # an InstructPix2Pix call has three rows
    async with Engine(str(models[family])) as engine:
        (alone,) = await engine.submit(ask()).result()
        crowd = [engine.submit(ask(seed=20 + n, images=(each,)), user=str(n)) for n, each in enumerate((BOAT, MOON))]
        await asyncio.sleep(0.01)
        (late,) = await engine.submit(ask(), user="late").result()
        for ticket in crowd:
            await ticket.result()
        denoised = (await engine.inspect()).forwards["denoise"]
    assert denoised.most_joined > 1
    assert late.tobytes() == alone.tobytes()


async def test_more_pictures_than_a_model_looks_at_are_refused(models: dict[str, Path]) -> None:
    async with Engine(str(models["flux-kontext"])) as engine:
        with pytest.raises(InvalidRequest, match="can't look at 2 pictures"):
            engine.submit(ask(images=(BOAT, MOON)))


def test_a_strength_is_how_little_is_kept() -> None:
    assert ask(strength=1.0).strength == 1.0
    with pytest.raises(InvalidRequest, match="strength"):
        ask(strength=1.5)
    with pytest.raises(InvalidRequest, match="0 pictures"):
        ask(images=())
