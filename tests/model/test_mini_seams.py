"""No seam shows in a creative upscale: a picture without contents changes as much at tile borders as elsewhere."""

from __future__ import annotations

import numpy as np
from PIL import Image

from engine import Engine, Upscale
from engine.imaging import tiles as upscale_tiles

SIDE, TILE, CELL = 256, 256, 16  # enlarged twice, 9 tiles of Mini's, on its latent grid


def texture(seed: int) -> Image.Image:
    """Noise of all sizes (1/f) in colour: every place is like every other, so that only a border can differ."""
    dice = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE)))
    frequency[0, 0] = 1
    planes = [np.fft.ifft2(np.fft.fft2(dice.normal(size=(SIDE, SIDE))) / frequency).real for _ in range(3)]
    levels = [128 + 50 * (plane - plane.mean()) / plane.std() for plane in planes]
    return Image.fromarray(np.stack(levels, axis=-1).clip(0, 255).astype(np.uint8))


def steps(image: Image.Image, axis: int) -> np.ndarray:
    """Mean change from each column (axis 1) or row (axis 0) to the next."""
    return np.abs(np.diff(np.asarray(image, float), axis=axis)).mean(axis=(1 - axis, 2))


async def test_tile_borders_are_no_steeper_than_the_rest() -> None:
    at_borders, elsewhere = [], []  # of latent cells, where the decoder's own grain is the same
    boxes = upscale_tiles.tiles((2 * SIDE, 2 * SIDE), (TILE, TILE), CELL)
    borders = sorted({left - 1 for left, *_ in boxes if left} | {right - 1 for _, _, right, _ in boxes})[:-1]
    async with Engine("mini", threads=1) as engine:
        for seed in range(4):
            request = Upscale(init_image=texture(seed), mode="creative", seed=seed)
            (image,) = await engine.submit(request).result()
            for axis in (0, 1):
                found = steps(image, axis)
                at_borders += [*found[borders]]
                elsewhere += [found[i] for i in range(CELL - 1, len(found), CELL) if i not in borders]
    ratio = np.mean(at_borders) / np.mean(elsewhere)
    assert ratio <= 1.1, ratio
