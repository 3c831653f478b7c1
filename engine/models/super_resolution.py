"""Super-resolution models: transformers' Swin2SR, diffusers' latent and x4 upscalers. For the engine's thread."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import diffusers
import numpy as np
import torch
import transformers
from PIL import Image

from engine.device import overflow
from engine.models.catalog import Source, class_of

SWIN2SR = "Swin2SRForImageSuperResolution"


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
        overflow.check(torch.isfinite(result).all())
        levels = (result.float().clamp(0, 1) * 255).round().to("cpu", torch.uint8)
        return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())


def load(source: Source, dtype: torch.dtype) -> Any:
    """The upscaler behind a folder or hub id, from safetensors only; code that comes with a model is never run."""
    source = replace(source, location=str(source.on_disk or source.location))
    kwargs: dict[str, Any] = {"use_safetensors": True, "local_files_only": True}
    if class_of(source) != SWIN2SR:
        anything: Any = diffusers.DiffusionPipeline
        return anything.from_pretrained(source.location, dtype=dtype, **kwargs)
    # Float32: its relative position bias loses too much in half precision, and it is small.
    swin: Any = transformers.Swin2SRForImageSuperResolution
    return Swin2SR(swin.from_pretrained(source.location, dtype=torch.float32, **kwargs).eval())
