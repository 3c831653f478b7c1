"""Enlarge tiles with super-resolution models.

Like the generation pipelines, they run in fibers and park their calls, so tiles of many jobs share forward passes.
Lives in the engine's thread.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from PIL import Image

from engine.api.model_info import ModelInfo
from engine.device.fibers import Fiber
from engine.diffusion import noise
from engine.models.model_cache import Model
from engine.models.upscalers.networks import PictureNetwork
from engine.tasks import resolve
from engine.tasks.canvas import Enlargement
from engine.tasks.txt2img import Txt2Img

STEPS = 20  # of the diffusion upscalers, as the latent upscaler's model card has it
DIFFUSION_GRID_PX = 64  # VAE x UNet levels


def begin(enlargement: Enlargement, request: Txt2Img, index: int, model: Model, info: ModelInfo) -> tuple[Any, Fiber]:
    """The upscaler's copy for a tile of image `index`, and the fiber that will call it."""
    pipe, scale = model.pipeline(), enlargement.scale
    pipe.__dict__["_num_timesteps"] = info.upscaler.passes(scale) if isinstance(pipe, PictureNetwork) else STEPS
    generator = noise.generator(resolve.image_seed(request, index))

    def paint() -> Image.Image:
        tile = enlargement.tile()
        size = tile.width * scale, tile.height * scale
        while tile.width < size[0]:
            tile = _larger(pipe, tile, generator)
        return tile if tile.size == size else tile.resize(size, Image.Resampling.LANCZOS)

    return pipe, Fiber(paint)


def _larger(pipe: Any, tile: Image.Image, generator: torch.Generator) -> Image.Image:
    """One pass of the model, on a tile filled up to its grid. Raises: ValueError when nothing gets larger."""
    is_network = isinstance(pipe, PictureNetwork)
    padded = _padded(tile, pipe.grid_px if is_network else DIFFUSION_GRID_PX)
    larger: Image.Image
    if is_network:
        larger = pipe(padded)
    else:
        pipe.__dict__["scheduler"] = copy.deepcopy(pipe.scheduler)
        options = {"num_inference_steps": STEPS, "guidance_scale": 0.0, "generator": generator}
        larger = pipe(prompt="", image=padded, **options).images[0]
    factor = larger.width // padded.width
    if factor < 2:
        raise ValueError("this upscaler enlarges nothing")
    return larger.crop((0, 0, tile.width * factor, tile.height * factor))


def _padded(tile: Image.Image, grid: int) -> Image.Image:
    right, below = -tile.width % grid, -tile.height % grid
    if not right and not below:
        return tile
    return Image.fromarray(np.pad(np.asarray(tile), ((0, below), (0, right), (0, 0)), mode="edge"))
