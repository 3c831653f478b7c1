"""The rest of diffusers' text-to-image table: each paints what its own pipeline paints, two jobs at once too."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine import Engine
from tests.engine import menagerie
from tests.engine.table import rarer
from tests.engine.test_joining import ask, own

SLOW = ("deepfloyd", "ideogram4", "kandinsky", "hunyuan-pag")  # as all others together
JOINED = ("sd-controlnet", "qwenimage-controlnet", "z-image-controlnet", "z-image-controlnet-inpaint")
BUILDERS = {**menagerie.BUILDERS, **rarer.BUILDERS}
NAMES = tuple(name for name in BUILDERS if name not in (*SLOW, *JOINED) and not name.startswith("helios"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("menagerie")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in NAMES:
            torch.manual_seed(0)
            BUILDERS[name]().save_pretrained(root / name)
    return {name: root / name for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
async def test_it_is_diffusers_own_alone_and_beside_another_job(models: dict[str, Path], name: str) -> None:
    async with Engine(str(models[name]), mode="fast") as engine:
        (info,) = engine.models()
        side = max(64, info.multiple_px)
        facts = {"negative_prompt": "a dog" if info.negative_prompts else "", "width": side, "height": side}
        requests = [
            ask(num_inference_steps=2, **facts),
            ask(num_inference_steps=3, seed=8, prompt="a blue moon", **facts),
        ]
        alone = [(await engine.submit(request).result())[0] for request in requests]
        tickets = [engine.submit(request, user=str(i)) for i, request in enumerate(requests)]
        together = [(await ticket.result())[0] for ticket in tickets]
        denoised = (await engine.inspect()).forwards["denoise"]
    assert denoised.most_joined <= 1
    for request, *images in zip(requests, alone, together, strict=True):
        expected = own(models[name], request)
        assert np.asarray(expected).std() > 1, "a flat picture would prove nothing"
        for image in images:
            assert same(image, expected), (request, image.size, expected.size)


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.tobytes() == other.convert("RGB").tobytes()
