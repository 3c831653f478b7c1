"""T2I-Adapters: what they make of pictures is added inside the denoiser. Lives in the engine's thread.

Mou et al. 2023 (T2I-Adapter, arXiv:2302.08453): the picture is read once, and its features are added to those of the
UNet's way down, level by level, in every step. So any pipeline with a UNet can be led, in diffusers' tables or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from engine.device.fibers import Stub
from engine.diffusion.preview import StepWatch
from engine.tasks.pictures import Guide


@dataclass(frozen=True, slots=True)
class Features:
    """What an adapter makes of a picture, scaled: (1, channels, height, width) of each level; and when that counts."""

    levels: Sequence[torch.Tensor]
    start: float
    end: float


def features(adapter: Any, picture: Image.Image, guide: Guide) -> Features:
    """What the adapter makes of what it is to see."""
    grey = adapter.config.in_channels == 1
    pixels = np.array(picture.convert("L" if grey else "RGB"), dtype=np.float32)
    rows = pixels.reshape(1, picture.height, picture.width, -1) / 255.0
    image = torch.from_numpy(rows.transpose(0, 3, 1, 2)).to(
        adapter.device, adapter.dtype
    )  # it lies as diffusers has it
    missing = [-side % adapter.downscale_factor for side in image.shape[2:]]  # it reads whole blocks of pixels
    if any(missing):  # or it would lie in memory another way, and be rounded otherwise
        image = functional.pad(image, (0, missing[1], 0, missing[0]), mode="replicate")
    levels = [level * guide.conditioning_scale for level in adapter(image)]
    return Features(levels, guide.guidance_start, guide.guidance_end)


class Steered(Stub):
    """Stands in for a UNet's stub: adds to each of its calls the features that count in the step being made."""

    def __init__(self, unet: Stub, known: Sequence[Features], watch: StepWatch, pipe: Any) -> None:
        super().__init__(unet._module, "denoise", device=unet.device)
        self.__dict__.update(_unet=unet, _known=tuple(known), _watch=watch, _pipe=pipe)

    def __call__(self, sample: torch.Tensor, time: Any, **kwargs: Any) -> Any:
        step, steps = self._watch.steps, max(1, self._pipe.num_timesteps)
        now = [each.levels for each in self._known if each.start <= step / steps and (step + 1) / steps <= each.end]
        if now:
            levels = [sum(each[1:], each[0]) for each in zip(*now, strict=True)]
            kwargs["down_intrablock_additional_residuals"] = [
                level.repeat(sample.shape[0], 1, 1, 1) for level in levels
            ]
        return self._unet(sample, time, **kwargs)
