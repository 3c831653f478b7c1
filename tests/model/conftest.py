"""The shipped Mini, loaded once: plain diffusers, one thread, no network."""

import random
from collections.abc import Callable, Iterator

import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from engine.mini import MODEL_DIR

Paint = Callable[..., list[Image.Image]]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Keep to one thread: networks this small wait longer for each other's threads than they gain from them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def pipeline(one_thread: None) -> StableDiffusionPipeline:
    """Load the folder that ships as any user of diffusers would."""
    loaded = StableDiffusionPipeline.from_pretrained(MODEL_DIR, dtype=torch.float32, local_files_only=True)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture(scope="session")
def paint(pipeline: StableDiffusionPipeline) -> Paint:
    """Return a function that paints one picture for each of `count` seeds."""

    def call(prompt: str, count: int = 4, **options: object) -> list[Image.Image]:
        generators = [torch.Generator().manual_seed(seed) for seed in range(count)]
        settings = {"num_inference_steps": 8, "guidance_scale": 3.0, **options}
        pictures: list[Image.Image] = pipeline(
            prompt, num_images_per_prompt=count, generator=generators, **settings
        ).images
        return pictures

    return call


@pytest.fixture
def rng() -> random.Random:
    """Return the same random numbers in every run."""
    return random.Random(7)
