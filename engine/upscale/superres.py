"""Super-resolution models: transformers' Swin2SR, diffusers' latent and x4 upscalers, used tile by tile.

Like the painting pipelines they run in fibers and park their calls, so tiles of many jobs share forwards. Lives in the
engine's thread.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Self

import diffusers
import numpy as np
import torch
import transformers
from PIL import Image

from engine.api import resolve
from engine.api.model_info import ModelInfo
from engine.diffusion import noise
from engine.models.catalog import Source, class_of
from engine.runtime.fibers import Fiber
from engine.tasks.canvas import Enlargement
from engine.tasks.txt2img import Txt2Img

if TYPE_CHECKING:
    from engine.models.model_cache import Model

SWIN2SR = "Swin2SRForImageSuperResolution"
STEPS = 20  # of the diffusion upscalers, as the latent upscaler's model card has it
SWIN_GRID_PX, DIFFUSION_GRID_PX = 8, 64  # its attention window; VAE x UNet levels


class Swin2SR:
    """transformers' model in a pipeline's clothes: picture in, larger picture out."""

    def __init__(self, upscaler: Any) -> None:
        self.upscaler = upscaler

    @property
    def components(self) -> dict[str, Any]:
        return {"upscaler": self.upscaler}

    def to(self, device: torch.device) -> Self:
        self.upscaler.to(device)
        return self

    def set_progress_bar_config(self, **config: Any) -> None:
        """Nothing is shown anyway."""

    def __call__(self, image: Image.Image) -> Image.Image:
        """RGB, sides a multiple of the attention window."""
        pixels = torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)[None]
        model = self.upscaler
        result = model(pixel_values=pixels.to(model.device, model.dtype)).reconstruction[0]
        levels = (result.float().clamp(0, 1) * 255).round().to("cpu", torch.uint8)
        return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())


def load(source: Source, dtype: torch.dtype) -> Any:
    """The upscaler behind a folder or hub id, from safetensors only; code that comes with a model is never run."""
    kwargs: dict[str, Any] = {"use_safetensors": True, "local_files_only": source.path is not None}
    if class_of(source) != SWIN2SR:
        anything: Any = diffusers.DiffusionPipeline
        return anything.from_pretrained(source.location, dtype=dtype, **kwargs)
    # Float32: its relative position bias loses too much in half precision, and it is small.
    swin: Any = transformers.Swin2SRForImageSuperResolution
    return Swin2SR(swin.from_pretrained(source.location, dtype=torch.float32, **kwargs).eval())


def begin(enlargement: Enlargement, request: Txt2Img, index: int, model: Model, info: ModelInfo) -> tuple[Any, Fiber]:
    """The upscaler's copy for a tile of image `index`, and the fiber that will call it."""
    pipe, scale = model.pipeline(), enlargement.scale
    pipe.__dict__["_num_timesteps"] = info.upscaler.passes(scale) if isinstance(pipe, Swin2SR) else STEPS
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
    padded = _padded(tile, SWIN_GRID_PX if isinstance(pipe, Swin2SR) else DIFFUSION_GRID_PX)
    if isinstance(pipe, Swin2SR):
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
