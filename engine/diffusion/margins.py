"""Margins: a picture larger than what a network knows is its native middle, continued all around.

A network that was trained on squares of one size tells by their borders where it is. In a wider picture it finds its
way twice and paints everything twice. So it sees the middle alone, at every noise level, and what it believes of the
middle's rim is believed of all that lies beyond: sky goes on as sky, sea as sea.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from engine.device.fibers import Stub


class Margins(Stub):
    """Stands in for a denoiser in the pipeline of one image; calls the `denoiser` with `side` latents at most.

    `scheduler`: the image's own, whose noise levels and kind of prediction tell what a prediction says of the picture.
    """

    def __init__(self, denoiser: Stub, side: int, scheduler: Any) -> None:
        self.__dict__.update(denoiser.__dict__, _side=side, _scheduler=scheduler)

    def __call__(self, sample: torch.Tensor, timestep: Any, *args: Any, **kwargs: Any) -> Any:
        """As the denoiser's own, for latents of any size: (B, C, H, W)."""
        top, bottom = _beyond(sample.shape[-2], self._side)
        left, right = _beyond(sample.shape[-1], self._side)
        middle = sample[..., top : sample.shape[-2] - bottom, left : sample.shape[-1] - right]
        predicted = super().__call__(middle, timestep, *args, **kwargs)[0]
        signal, noise = self._scales(float(timestep))
        kind = self._scheduler.config.prediction_type
        clean = F.pad(_clean(kind, middle, predicted, signal, noise), (left, right, top, bottom), mode="replicate")
        whole = _prediction(kind, sample, clean, signal, noise)
        whole[..., top : sample.shape[-2] - bottom, left : sample.shape[-1] - right] = predicted  # to the last bit
        return (whole,)

    def _scales(self, timestep: float) -> tuple[float, float]:
        """How much of the picture and of the noise there is in a sample; some schedulers step between timesteps."""
        kept = self._scheduler.alphas_cumprod.double().cpu().numpy()
        share = float(np.interp(timestep, np.arange(len(kept)), kept))
        return share**0.5, (1 - share) ** 0.5


def with_margins(pipe: Any) -> None:
    """Let the pipeline of one image paint margins, where it is a UNet's and its noise is diffusion's."""
    denoiser, scheduler = pipe.__dict__.get("unet"), pipe.scheduler
    if isinstance(denoiser, Stub) and hasattr(scheduler, "alphas_cumprod"):
        pipe.__dict__["unet"] = Margins(denoiser, denoiser.config.sample_size, scheduler)


def _beyond(size: int, side: int) -> tuple[int, int]:
    """How many latents there are before and behind the middle."""
    before = max(0, size - side) // 2
    return before, max(0, size - side) - before


def _clean(kind: str, sample: torch.Tensor, predicted: torch.Tensor, signal: float, noise: float) -> torch.Tensor:
    """The picture that a prediction means (Salimans & Ho 2022, arXiv:2202.00512)."""
    if kind == "v_prediction":
        return signal * sample - noise * predicted
    return (sample - noise * predicted) / signal if kind == "epsilon" else predicted


def _prediction(kind: str, sample: torch.Tensor, clean: torch.Tensor, signal: float, noise: float) -> torch.Tensor:
    """The prediction that means a picture."""
    if kind == "v_prediction":
        return (signal * sample - clean) / noise
    return (sample - signal * clean) / noise if kind == "epsilon" else clean
