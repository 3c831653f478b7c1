"""The rest of diffusers' text-to-image table: each paints what its own pipeline paints, two jobs at once too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine import Engine
from tests.engine import menagerie
from tests.engine.test_joining import ask, own

NAMES = tuple(name for name in menagerie.BUILDERS if name != "deepfloyd")  # which takes as long as all others


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return menagerie.build(tmp_path_factory.mktemp("menagerie"), NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::FutureWarning")
async def test_it_is_diffusers_own_alone_and_beside_another_job(models: dict[str, Path], name: str) -> None:
    async with Engine(str(models[name]), mode="fast") as engine:
        unwanted = "a dog" if engine.models()[0].negative_prompts else ""
        requests = [
            ask(num_inference_steps=2, negative_prompt=unwanted),
            ask(num_inference_steps=3, negative_prompt=unwanted, seed=8, prompt="a blue moon"),
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
