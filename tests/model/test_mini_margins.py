"""A wide or a tall picture by the engine is one scene: its native middle, and margins that go on as its rim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, EulerDiscreteScheduler
from PIL import Image

from bot.orders.sizes import fit
from engine import Engine, Txt2Img
from engine.device.fibers import Call, Fiber, Stub
from engine.diffusion.margins import Margins
from engine.mini.silhouettes import pieces, verdict
from engine.models.catalog import describe, source

PLAIN = "a red {} on a white background"


class Knowing(torch.nn.Module):
    """A denoiser that knows the picture, and says so in the scheduler's own terms."""

    def __init__(self, scheduler: Any, picture: torch.Tensor) -> None:
        super().__init__()
        self.scheduler, self.picture = scheduler, picture

    def forward(self, sample: torch.Tensor, timestep: Any, **_: Any) -> tuple[torch.Tensor]:
        share = self.scheduler.alphas_cumprod[int(timestep)]
        signal, noise = share.sqrt(), (1 - share).sqrt()
        if self.scheduler.config.prediction_type == "epsilon":
            return ((sample - signal * self.picture) / noise,)
        return ((signal * sample - self.picture) / noise,)


def alone(run: Any) -> Any:
    """Run what calls stubs, each call by itself."""
    fiber = Fiber(run)
    found = fiber.advance()
    while isinstance(found, Call):
        found = fiber.advance(found.run())
    return found


@pytest.mark.parametrize("kind", ["v_prediction", "epsilon"])
@pytest.mark.parametrize("schedule", [DDIMScheduler, EulerDiscreteScheduler])
@pytest.mark.parametrize(("height", "width"), [(4, 9), (7, 4), (3, 6), (4, 4)])
def test_what_lies_beyond_the_middle_goes_on_as_its_rim(kind: str, schedule: Any, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    middle = torch.randn(1, 2, min(height, 4), min(width, 4), generator=generator)
    scheduler = schedule(prediction_type=kind, beta_schedule="scaled_linear", timestep_spacing="trailing")
    scheduler.register_to_config(clip_sample=False)
    scheduler.set_timesteps(5)
    denoiser = Margins(Stub(Knowing(scheduler, middle), "denoise"), 4, scheduler)

    def sample() -> torch.Tensor:
        latents = torch.randn(1, 2, height, width, generator=generator) * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            predicted = denoiser(scheduler.scale_model_input(latents, timestep), timestep)[0]
            latents = scheduler.step(predicted, timestep, latents).prev_sample
        return latents

    left, top = (width - middle.shape[-1]) // 2, (height - middle.shape[-2]) // 2
    beyond = (left, width - middle.shape[-1] - left, top, height - middle.shape[-2] - top)
    torch.testing.assert_close(alone(sample), F.pad(middle, beyond, mode="replicate"), atol=0.02, rtol=0.02)


def test_other_shapes_keep_the_native_side() -> None:
    mini = describe(source("mini", "mini"))
    assert [fit(ratio, mini, mini.max_pixels) for ratio in (1, 1.5, 2 / 3, 2)] == [
        (256, 256),
        (384, 256),
        (256, 384),
        (512, 256),
    ]


async def painted(engine: Engine, prompt: str, size: tuple[int, int], seed: int, scheduler: str) -> Image.Image:
    width, height = size
    request = Txt2Img(prompt=prompt, width=width, height=height, seed=seed, num_inference_steps=8, scheduler=scheduler)
    (image,) = await engine.submit(request).result()
    return image


async def test_a_thing_is_one_thing_in_a_picture_of_any_shape() -> None:
    sizes = ((384, 256), (256, 384), (320, 208))
    asked = [(kind, size) for kind in ("heart", "house") for size in sizes]
    found = []
    async with Engine("mini", threads=1) as engine:
        for seed, (kind, size) in enumerate(asked):
            scheduler = ("dpmpp_2m", "euler", "ddim")[seed % 3]
            picture = await painted(engine, PLAIN.format(kind), size, seed, scheduler)
            assert picture.size == size
            square = picture.crop(
                ((size[0] - 208) // 2, (size[1] - 208) // 2, (size[0] + 208) // 2, (size[1] + 208) // 2)
            )
            found.append((len(pieces(picture)), verdict(square, kind, "red").overlap > 0.72))
    assert sum(count == 1 and shaped for count, shaped in found) >= len(asked) - 1, found


async def test_the_middle_is_the_native_picture_and_the_sea_goes_on_beside_it() -> None:
    async with Engine("mini", threads=1) as engine:
        picture = await painted(engine, "a red boat on the sea", (384, 256), 3, "dpmpp_2m")
    columns = np.asarray(picture, float)
    left, right = columns[:, 8:56], columns[:, -56:-8]
    assert np.abs(np.diff(left, axis=1)).mean() < 1.5
    for margin in (left, right):
        sky, sea = margin[20:60].mean((0, 1)), margin[-30:].mean((0, 1))
        assert sky[0] > sea[0] + 40
        assert sea[2] > sea[0] + 60
