"""Editors of families that share no steps: each alone as diffusers paints to the last bit, or refused in a sentence."""

from __future__ import annotations

import copy
import functools
import inspect
import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.pipelines.bria_fibo2 import image_processor as fibo2
from diffusers.pipelines.joyimage import image_processor as joyimage
from diffusers.pipelines.longcat_image import pipeline_longcat_image_edit as longcat
from diffusers.pipelines.qwenimage21 import pipeline_qwenimage21 as qwenimage21
from PIL import Image

from engine import Edit, Engine, ModelUnloadable
from engine.models import facts, families
from engine.models.facts import Parts, read_parts
from engine.models.files import stand_ins
from tests.engine.editing import rarer_editors
from tests.engine.editing.test_edit import ask, every_way

SIDE = 64
ONLY = {"z-image-omni": "bfloat16"}  # diffusers asks its VAE in that precision, whatever it's loaded in


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """They choose among sizes of about a megapixel; here there is one, and it's small.

    JoyImage draws of what its VAE encodes from everybody's random numbers; Easel takes the mean.
    """
    monkeypatch.setattr(longcat, "calculate_dimensions", lambda area, ratio: (SIDE, SIDE))
    monkeypatch.setattr(qwenimage21, "calculate_dimensions", lambda area, ratio: (SIDE, SIDE, None))
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda found, generator=None: found.mode())
    monkeypatch.setattr(fibo2.BriaFibo2ImageProcessor, "get_image_size", lambda self, ratio, area=0: (SIDE, SIDE))
    monkeypatch.setitem(joyimage.BUCKETS, 1024, [(SIDE, SIDE)])


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What was decoded, before it's clipped and becomes 8 bits, picture by picture."""
    found: list[torch.Tensor] = []
    original = VaeImageProcessor.postprocess

    @functools.wraps(original)
    def postprocess(self: Any, image: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        found.append(image.clone())
        return original(self, image, *args, **kwargs)

    monkeypatch.setattr(VaeImageProcessor, "postprocess", postprocess)
    return found


@functools.cache
def loaded(folder: Path, dtype: str) -> Any:
    kind = getattr(torch, dtype)
    beside = stand_ins.of(folder, read_parts(folder).index, kind)
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=kind, **beside)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def own(folder: Path, dtype: str, request: Edit, pictures: int) -> Image.Image:
    """The same picture from diffusers, called as the family's card has it."""
    pipe = copy.copy(loaded(folder, dtype))
    pipe.scheduler = copy.deepcopy(pipe.scheduler)
    takes = inspect.signature(pipe.__call__).parameters
    images = [*request.images]
    named: dict[str, Any] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt or None,
        "guidance_scale": request.guidance_scale,
        "true_cfg_scale": request.guidance_scale,
        "num_inference_steps": request.num_inference_steps,
        "image": images if pictures > 1 else images[0],
        "images": images,
        "width": SIDE,
        "height": SIDE,
    }
    if "BriaFiboEdit" in type(pipe).__name__:
        named["prompt"] = json.dumps({"edit_instruction": request.prompt})
    if "Mobile" in type(pipe).__name__:
        del named["guidance_scale"]
    if request.strength is not None:
        named["image_guidance_scale"] = 1.9
    if "true_cfg_scale" in takes:
        named["negative_prompt"] = request.negative_prompt or " "
    named = {name: value for name, value in named.items() if name in takes and value is not None}
    return pipe(generator=torch.Generator().manual_seed(request.seed or 0), **named).images[0].convert("RGB")  # type: ignore[no-any-return]


@pytest.mark.parametrize("family", rarer_editors.BUILDERS)
async def test_alone_it_is_diffusers_own(family: str, tmp_path: Path, decoded: list[torch.Tensor]) -> None:
    torch.manual_seed(0)
    rarer_editors.BUILDERS[family]().save_pretrained(tmp_path / family)
    dtype: Any = ONLY.get(family, "float32")
    async with Engine(str(tmp_path / family), dtype=dtype) as engine:
        (info,) = engine.models()
        assert "edit" in info.tasks
        assert info.family != families.UNKNOWN
        for request in every_way(info):
            (image,) = await engine.submit(request).result()
            theirs = own(tmp_path / family, dtype, request, info.edited_pictures)
            assert image.tobytes() == theirs.tobytes(), request
            one, other = decoded[-2:]
            assert one.float().std() > 0.05, "a flat picture would prove nothing"
            assert torch.equal(one, other), request


async def test_a_size_of_its_own_becomes_the_one_that_was_asked_for(tmp_path: Path) -> None:
    torch.manual_seed(0)
    rarer_editors.longcat().save_pretrained(tmp_path / "longcat")
    async with Engine(str(tmp_path / "longcat")) as engine:
        (image,) = await engine.submit(ask(width=96, height=64)).result()
    assert image.size == (96, 64)


def test_what_changes_pictures_in_ways_unknown_here_is_no_painter() -> None:
    with pytest.raises(ModelUnloadable, match="makes no pictures of words"):
        facts.read("kandinsky", "Kandinsky5I2IPipeline", Parts())


def test_what_needs_a_missing_package_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "find_spec", lambda name: None)
    with pytest.raises(ModelUnloadable, match="needs torchvision, which isn't installed; add it with"):
        facts.read("omni", "OmniGenPipeline", Parts())
