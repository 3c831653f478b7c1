"""Rough pictures on the way: the finished picture as the last call predicts it, through a cheap decoder."""

from __future__ import annotations

import time
from typing import Any

import torch
from PIL import Image

MIN_INTERVAL_S = 0.4  # a chat shows an edit every two seconds; a terminal a few frames a second
SHARE_ALONE, SHARE_BUSY = 0.08, 0.015  # of the engine's time; who waits wants pictures, not previews of others'
SIDE_PX = 128
TINY_VAE = 2_000_000  # parameters: decoding with it is cheaper than guessing is worth
CALIBRATION = 16  # latent pixels a side


class Previewer:
    """Makes previews for one model; fits its own latents-to-RGB map, so no family needs constants.

    Args:
        flow: flow matching, so latents and noise are mixed linearly. packed: latents are (B, tokens, 4 x channels).
    """

    def __init__(self, pipe: Any, *, flow: bool = False, packed: bool = False) -> None:
        self._vae, self._flow, self._packed = pipe.vae, flow, packed
        self._alphas = getattr(pipe.scheduler, "alphas_cumprod", None)
        self._prediction = pipe.scheduler.config.get("prediction_type", "epsilon")
        self._tiny = sum(p.numel() for p in pipe.vae.parameters()) <= TINY_VAE
        self._map: torch.Tensor | None = None

    def paint(
        self, sample: torch.Tensor, t: float, output: torch.Tensor, guidance: float, size: tuple[int, int]
    ) -> Any:
        """The predicted picture.

        Args:
            sample, output: rows of one image's denoiser call, (1 or 2, ...); two are unconditional, conditional.
            t: training timestep, 0..1000 (flow: 0..1000 of noise). size: the picture's width and height in pixels.
        """
        if len(output) == 2:
            output = output[:1] + guidance * (output[1:] - output[:1])
        clean = self._clean(sample[:1].float(), t, output.float())
        if self._packed:
            clean = _unpack(clean, size)
        rgb = self._decode(clean) if self._tiny else self._project(clean)
        return _picture(rgb, size)

    def _clean(self, sample: torch.Tensor, t: float, output: torch.Tensor) -> Any:
        """The noiseless latents. The model sees unit-variance input, so one formula serves every scheduler."""
        if self._flow or self._alphas is None:
            return sample - (t / 1000) * output
        kept = float(self._alphas[min(len(self._alphas) - 1, max(0, round(t)))])
        alpha, sigma = kept**0.5, (1 - kept) ** 0.5
        if self._prediction == "v_prediction":
            return alpha * sample - sigma * output  # Salimans and Ho 2022, appendix D
        return output if self._prediction == "sample" else (sample - sigma * output) / max(alpha, 1e-3)

    def _decode(self, clean: torch.Tensor) -> Any:
        config = self._vae.config
        latents = clean / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)
        return self._vae.decode(latents.to(self._vae.dtype), return_dict=False)[0][0].float()

    def _project(self, clean: torch.Tensor) -> torch.Tensor:
        """(1, C, h, w) scaled latents -> (3, h, w), by a linear map fitted once on what the VAE makes of noise."""
        if self._map is None:
            self._map = self._fit(clean.shape[1], clean.device)
        ones = torch.ones_like(clean[:, :1])
        return torch.einsum("chw,cr->rhw", torch.cat([clean, ones], dim=1)[0], self._map)

    def _fit(self, channels: int, device: torch.device) -> Any:
        noise = torch.randn(1, channels, 4, 4, generator=torch.Generator().manual_seed(0)).to(device)
        latents = torch.nn.functional.interpolate(noise, size=(CALIBRATION, CALIBRATION), mode="bicubic")
        seen = self._decode(latents)[None]
        target = torch.nn.functional.interpolate(seen, size=(CALIBRATION, CALIBRATION), mode="area")[0]
        inputs = torch.cat([latents, torch.ones_like(latents[:, :1])], dim=1)[0].flatten(1).T
        return torch.linalg.lstsq(inputs.cpu(), target.flatten(1).T.cpu()).solution.to(device)


def _unpack(latents: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(1, h/2 x w/2, 4 C) -> (1, C, h, w), as Flux packs them."""
    tokens, width4 = latents.shape[1], latents.shape[2]
    columns = max(1, round((tokens * size[0] / size[1]) ** 0.5))
    grid = latents.view(1, tokens // columns, columns, width4 // 4, 2, 2)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(1, width4 // 4, tokens // columns * 2, columns * 2)


def _picture(rgb: torch.Tensor, size: tuple[int, int]) -> Image.Image:
    """(3, h, w) in -1..1 -> a small RGB picture of the same proportions."""
    pixels = ((rgb / 2 + 0.5).clamp(0, 1) * 255).round().to("cpu", torch.uint8)
    image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    scale = min(1.0, SIDE_PX / max(size))
    return image.resize((max(1, round(size[0] * scale)), max(1, round(size[1] * scale))), Image.Resampling.BICUBIC)


class Throttle:
    """Lets through what costs little: not before an interval, nor more than a share of the time."""

    def __init__(self) -> None:
        self._next = 0.0

    def open(self) -> bool:
        return time.perf_counter() >= self._next

    def spent(self, seconds: float, *, alone: bool) -> None:
        share = SHARE_ALONE if alone else SHARE_BUSY
        self._next = time.perf_counter() + max(MIN_INTERVAL_S, seconds / share)
