"""A fault at any step of a painting is that job's failure, told in a sentence; the next one's bytes are as before."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.image_processor import VaeImageProcessor
from PIL import Image
from transformers import CLIPTextModel, CLIPVisionModelWithProjection

from engine import (
    Control,
    Engine,
    Img2Img,
    Inpaint,
    ModelUnloadable,
    Preview,
    Reference,
    RenderFailed,
    Txt2Img,
    Upscale,
)
from engine.diffusion.preview import Previewer, Throttle
from engine.imaging.tiles import Mosaic
from engine.models.files import parts, reading
from engine.runtime import image_setup
from engine.tasks import resolve
from tests.engine.adapters.test_adapters import lora
from tests.engine.adapters.test_controlnets import controlnet
from tests.engine.adapters.test_image_prompts import ip_adapter

SIZE = {"width": 64, "height": 64}
FACTS: dict[str, Any] = {"seed": 7, "num_inference_steps": 2, "guidance_scale": 5.0}
PICTURE = Image.effect_noise((64, 64), 60).convert("RGB")
MASK = Image.new("L", (64, 64))
MASK.paste(255, (16, 8, 48, 40))
NUMBERS = itertools.count()


class UnspeakableError(RuntimeError):
    """One that can't even be told."""

    def __str__(self) -> str:
        raise ValueError("no words")


FAULTS: tuple[Exception, ...] = (
    ZeroDivisionError("nobody has thought of this"),
    StopIteration("the end of something"),
    UnspeakableError(),
)


def words(**changes: Any) -> Txt2Img:
    """A prompt that no cache knows yet."""
    return Txt2Img(**{**FACTS, **SIZE, "prompt": f"boat {next(NUMBERS)}", **changes})


def along(**changes: Any) -> Txt2Img:
    return Control(**FACTS, **SIZE, prompt="a boat", control_image=PICTURE, controlnet="lines", **changes)


def looking() -> Txt2Img:
    return words(references=(Reference(image=Image.effect_noise((32, 32), next(NUMBERS) + 9).convert("RGB")),))


STEPS: dict[str, tuple[Any, str, Callable[[], Txt2Img]]] = {
    "loading a model": (reading, "load", lambda: words(model="sdxl")),
    "its parts": (parts, "load", lambda: words(model="flux")),
    "loading a LoRA": (StableDiffusionPipeline, "load_lora_weights", lambda: words(prompt="a boat <lora:waves:0.5>")),
    "loading a ControlNet": (ControlNetModel, "from_pretrained", along),
    "loading an IP-Adapter": (StableDiffusionPipeline, "load_ip_adapter", looking),
    "its own beginning": (image_setup, "begin", words),
    "the pipeline's": (StableDiffusionPipeline, "check_inputs", words),
    "reading words": (CLIPTextModel, "forward", words),
    "seeing a reference": (CLIPVisionModelWithProjection, "forward", looking),
    "a timetable": (EulerDiscreteScheduler, "set_timesteps", words),
    "noise": (StableDiffusionPipeline, "prepare_latents", words),
    "encoding a picture": (
        AutoencoderKL,
        "encode",
        lambda: Img2Img(**FACTS, **SIZE, prompt="a boat", init_image=PICTURE, strength=0.9),
    ),
    "a mask": (
        AutoencoderKL,
        "encode",
        lambda: Inpaint(**FACTS, **SIZE, prompt="a boat", init_image=PICTURE, mask=MASK, strength=0.9),
    ),
    "a step": (UNet2DConditionModel, "forward", words),
    "a ControlNet's": (ControlNetModel, "forward", along),
    "the scheduler's": (EulerDiscreteScheduler, "step", words),
    "decoding": (AutoencoderKL, "decode", words),
    "pixels": (VaeImageProcessor, "postprocess", words),
    "collecting": (
        Mosaic,
        "add",
        lambda: Upscale(**FACTS, prompt="a boat", init_image=PICTURE, mode="creative", strength=0.9),
    ),
    "the recipe": (resolve, "to_json", words),
}


@contextmanager
def broken(owner: Any, name: str, error: Exception, tried: list[str]) -> Iterator[None]:
    """Every call of a function raises that."""
    whole = vars(owner)[name] if isinstance(owner, type) and name in vars(owner) else None
    works = getattr(owner, name)

    @functools.wraps(works)  # the engine reads the names of its arguments
    def fails(*_: Any, **__: Any) -> Any:
        tried.append(name)
        raise error

    setattr(owner, name, staticmethod(fails) if isinstance(whole, classmethod) else fails)
    try:
        yield
    finally:
        if isinstance(owner, type) and whole is None:
            delattr(owner, name)  # it was its parent's
        else:
            setattr(owner, name, whole if whole is not None else works)


@pytest.fixture(scope="module")
def files(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root, folder = tmp_path_factory.mktemp("files"), folders["sd1"]
    return {
        "models": {name: str(folders[name]) for name in ("sdxl", "flux")},
        "loras": {"waves": str(lora(folder, "sd1", root / "waves", 1))},
        "controlnets": {"lines": str(controlnet(folder, root / "lines", 1))},
        "ip_adapters": {"sd1": str(ip_adapter(folder, root / "eyes"))},
    }


@pytest.mark.parametrize("step", STEPS)
async def test_it_costs_that_job_and_nothing_else(folders: dict[str, Path], files: dict[str, Any], step: str) -> None:
    owner, name, request = STEPS[step]
    neighbour = Txt2Img(**FACTS, **SIZE, prompt="a red boat")
    async with Engine(str(folders["sd1"]), **files) as engine:
        before = (await engine.submit(neighbour, user="neighbour").result())[0].tobytes()
        for fault in FAULTS:
            tried: list[str] = []
            with broken(owner, name, fault, tried), pytest.raises((RenderFailed, ModelUnloadable)) as told:
                await engine.submit(request(), user="unlucky").result()
            assert tried, "the step was never come to"
            assert str(told.value).endswith((".", "?"))
            after = (await engine.submit(neighbour, user="neighbour").result())[0].tobytes()
            assert after == before, fault
        assert {model.images for model in (await engine.inspect()).models} == {0}
        assert len(await engine.submit(request(), user="lucky").result()) == 1


async def test_a_preview_costs_nobody_anything(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Throttle, "open", lambda self: True)
    for fault in FAULTS:
        tried: list[str] = []
        async with Engine(str(folders["sd1"])) as engine:
            with broken(Previewer, "paint", fault, tried):
                events = [event async for event in engine.submit(words(prompt="a red boat"))]
            assert tried
            assert not any(isinstance(event, Preview) for event in events)
            without = next(event.image for event in events if hasattr(event, "image")).tobytes()
        async with Engine(str(folders["sd1"])) as engine:
            assert (await engine.submit(words(prompt="a red boat")).result())[0].tobytes() == without
