"""Models that make pictures larger, as pipelines: networks of three sources, and diffusers' own.

For the engine's thread.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import diffusers
import numpy as np
import torch
import transformers
from PIL import Image
from torch import nn

from engine.device import overflow
from engine.models.catalog import Source
from engine.models.files import parts
from engine.models.files.parts import Put
from engine.models.files.weights import NCNN
from engine.models.upscalers import ncnn
from engine.models.upscalers.known import SWIN2SR, class_of

SWIN_GRID_PX = 8  # its attention window


class PictureNetwork:
    """A network in a pipeline's clothes: picture in, larger picture out.

    `upscaler` takes `pixel_values` (B, 3, H, W), 0..1, and gives them larger, or in a record's `reconstruction`.
    `grid_px`: what the picture's sides must be multiples of.
    """

    def __init__(self, upscaler: Any, grid_px: int = 1) -> None:
        self.upscaler, self.grid_px = upscaler, grid_px

    @property
    def components(self) -> dict[str, Any]:
        return {"upscaler": self.upscaler}

    def to(self, device: torch.device) -> Self:
        self.upscaler.to(device)
        return self

    def set_progress_bar_config(self, **config: Any) -> None:
        """Nothing is shown anyway."""

    def __call__(self, image: Image.Image) -> Image.Image:
        """RGB, of a size that fits the grid."""
        pixels = torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)[None]
        found = self.upscaler(pixel_values=pixels.to(next(self.upscaler.parameters())))
        result = getattr(found, "reconstruction", found)[0]
        overflow.check(torch.isfinite(result).all())
        levels = (result.float().clamp(0, 1) * 255).round().to("cpu", torch.uint8)
        return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())


class _OfSpandrel(nn.Module):
    """A network that spandrel knows, which pads what doesn't fit it by itself."""

    def __init__(self, known: Any) -> None:
        super().__init__()
        self.network: nn.Module = known.model
        self._known = known

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        larger: torch.Tensor = self._known(pixel_values)
        return larger


def load(source: Source, dtype: torch.dtype, put: Put = parts.leave) -> Any:
    """The upscaler behind a source; code that comes with a model is never run. Raises: ValueError when it is none.

    Networks stay in float32: they are small, and half precision is seen in smooth skies.

    Args:
        put: is given each part of a pipeline as soon as it's read.
    """
    source = replace(source, location=str(source.on_disk or source.location))
    path = source.path
    if path is not None and path.is_file():
        network: Any = ncnn.Network(path) if path.suffix == NCNN else _of_spandrel(path)
        return PictureNetwork(network.eval().to(memory_format=torch.channels_last))  # half the time on a processor
    folder, name = Path(source.location), source.key
    if class_of(source) != SWIN2SR:
        how = {"dtype": dtype, "use_safetensors": True, "local_files_only": True}
        return parts.pipeline(name, diffusers.DiffusionPipeline, folder, how, put)
    swin = transformers.Swin2SRForImageSuperResolution
    return PictureNetwork(parts.load(name, swin, folder, dtype=torch.float32).eval(), SWIN_GRID_PX)


def _of_spandrel(path: Path) -> nn.Module:
    """Raises: ValueError, and whatever spandrel raises for a file that it doesn't know."""
    import spandrel

    if path.suffix.casefold() == ".pth":
        weights = torch.load(path, map_location="cpu", weights_only=True)  # tensors and nothing else: no code is run
    else:
        from safetensors.torch import load_file

        weights = load_file(path)
    known = spandrel.ModelLoader().load_from_state_dict(weights)
    if not isinstance(known, spandrel.ImageModelDescriptor) or known.scale < 2 or known.input_channels != 3:
        raise ValueError(f"this {known.architecture.name} makes no colour picture larger")
    return _OfSpandrel(known.to(dtype=torch.float32))
