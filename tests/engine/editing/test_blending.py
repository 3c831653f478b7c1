"""Blending: img2img of the mean of several pictures' latents, and of one picture's where only one counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from engine import Blend, Engine, Img2Img
from engine.diffusion import blending, noise

STEPS = {"num_inference_steps": 5, "guidance_scale": 5.0}
SIZE = {"width": 64, "height": 64}


def picture(seed: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def ask(count: int = 2, **changes: Any) -> Blend:
    images = [picture(n) for n in range(count)]
    return Blend(**{"prompt": "a boat", "seed": 3, "images": images, **STEPS, **SIZE, **changes})


@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3", "flux"])
async def test_a_picture_that_counts_alone_is_its_own_img2img(folders: dict[str, Path], family: str) -> None:
    same = Img2Img(prompt="a boat", seed=3, init_image=picture(1), strength=0.6, **STEPS, **SIZE)
    async with Engine(str(folders[family])) as engine:
        (blended,) = await engine.submit(ask(weights=[0, 2])).result()
        (redrawn,) = await engine.submit(same).result()
    assert blended.tobytes() == redrawn.tobytes()


def own(folder: Path, request: Blend, amount: float) -> Image.Image:
    """The same picture from diffusers alone, which takes latents for an image."""
    pipe = diffusers.AutoPipelineForImage2Image.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(request.seed or 0)
    with torch.no_grad():
        a, b = (pipe.vae.encode(pipe.image_processor.preprocess(i)).latent_dist for i in request.images)
        logvar = (1 - amount) * a.logvar + amount * b.logvar
        lengths = (1 - amount) * a.mean.norm() + amount * b.mean.norm()
        mean = noise.slerp(a.mean / a.mean.norm(), b.mean / b.mean.norm(), amount) * lengths
        latents = mean + torch.exp(0.5 * logvar) * torch.randn(mean.shape, generator=generator)
        image: Image.Image = pipe(
            prompt=request.prompt,
            image=latents * pipe.vae.config.scaling_factor,
            strength=request.strength,
            generator=generator,
            **STEPS,
        ).images[0]
    return image


@pytest.mark.parametrize("amount", [0.5, 0.2])
async def test_two_pictures_are_img2img_of_their_slerped_latents(folders: dict[str, Path], amount: float) -> None:
    request = ask(weights=[1 - amount, amount])
    async with Engine(str(folders["sd1"])) as engine:
        (image,) = await engine.submit(request).result()
    expected = np.asarray(own(folders["sd1"], request, amount)).astype(int)
    assert np.abs(np.asarray(image) - expected).max() <= 1


async def test_order_does_not_matter_and_no_weights_are_equal_weights(folders: dict[str, Path]) -> None:
    forth = ask(3)
    back = ask(3, images=tuple(reversed(forth.images)), weights=[2, 2, 2])
    async with Engine(str(folders["sd1"])) as engine:
        (one,), (other,) = await engine.submit(forth).result(), await engine.submit(back).result()
        (heavy,) = await engine.submit(ask(3, weights=[1, 1, 4])).result()
    assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1
    assert heavy.tobytes() != one.tobytes()


async def test_all_pictures_lie_in_memory_as_the_first(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That decides how they are convolved, and so the bits of what was blended once and is painted again."""
    lie, encode = [], diffusers.AutoencoderKL._encode

    def seen(vae: diffusers.AutoencoderKL, pixels: torch.Tensor) -> Any:
        lie.append(pixels.stride())
        return encode(vae, pixels)

    monkeypatch.setattr(diffusers.AutoencoderKL, "_encode", seen)
    async with Engine(str(folders["sd1"])) as engine:
        await engine.submit(ask(3)).result()
    assert len(lie) == 3
    assert len(set(lie)) == 1


def test_the_mean_of_two_points_is_their_slerp() -> None:
    a, b = (torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(n)) for n in (1, 2))
    b = b * a.norm() / b.norm()
    for amount in (0.1, 0.5, 0.8):
        found = blending.spherical_mean([a, b], [1 - amount, amount])
        assert torch.allclose(found, noise.slerp(a, b, amount), atol=1e-6)
