"""Rough pictures on the way: the finished picture as the last call predicts it, through a cheap decoder."""

from __future__ import annotations

import functools
import math
import time
from typing import Any

import torch
from PIL import Image

from engine.api import schedulers
from engine.device.failures import attempt

MIN_INTERVAL_S = 0.4  # a chat shows an edit every two seconds; a terminal a few frames a second
SHARE_ALONE, SHARE_BUSY = 0.08, 0.015  # of the engine's time; who waits wants pictures, not previews of others'
SIDE_PX = 128
TINY_VAE = 2_000_000  # parameters: decoding with it is cheaper than guessing is worth
DECODERS = ("vae", "movq", "vqgan")
CALIBRATION, CELLS = 15, 5  # latent pixels a side, and patches of one colour in them: only these differ
SEEN_EACH = 4  # patches for each number of the map: with fewer than one it fits them exactly, and nothing else
LOUD = 1000.0  # noise in the latents; 14.6 in Stable Diffusion, 4096 where the terminal SNR is zero


class StepWatch:
    """Sees every step of one image's scheduler: counts them, and keeps what a step says of the finished latents.

    The scheduler is where every pipeline comes to: its output is guided there already, has the sign and the layout that
    the latents have, and the scheduler itself knows what noise is in them.

    Attributes:
        steps: that were made. wanted: whether the next one shall tell. clean: what the last such step told, or what was
            raised over it, which is no reason for the picture to fail.
    """

    def __init__(self, scheduler: Any) -> None:
        self.steps, self.wanted = 0, False
        self._scheduler = scheduler
        self.clean: torch.Tensor | Exception | None = None
        step, names = scheduler.step, ("model_output", "timestep", "sample")

        @functools.wraps(step)  # pipelines ask for a scheduler's parameters
        def seen(*args: Any, **kwargs: Any) -> Any:
            if self.wanted:
                named = {**dict(zip(names, args, strict=False)), **kwargs}
                self.wanted = False
                self.clean = attempt(lambda: clean_latents(scheduler, *(named[name] for name in names)))
            self.steps += 1
            return step(*args, **kwargs)

        scheduler.step = seen

    @property
    def fragile(self) -> bool:
        """Whether the next step makes roundings large. At a terminal SNR of zero (Lin et al. 2024, arXiv:2305.08891)
        Euler's latents are noise times 4096, and all but the last digits of its first step's difference cancel."""
        return not self.steps and float(getattr(self._scheduler, "init_noise_sigma", 1.0)) > LOUD


def clean_latents(scheduler: Any, output: torch.Tensor, time: Any, sample: torch.Tensor) -> torch.Tensor | None:
    """The noiseless latents that a step's output predicts, in float32 as the sample lies; None where nothing tells."""
    config: Any = scheduler.config
    output, t = output[:1].float(), float(torch.as_tensor(time).reshape(-1)[0])
    if schedulers.is_flow({**config, "_class_name": type(scheduler).__name__}):
        return sample[:1].float() - t / float(config.get("num_train_timesteps", 1000)) * output
    if hasattr(scheduler, "precondition_outputs"):  # EDM: Karras et al. 2022, eq. 7
        level = scheduler.sigmas[scheduler.step_index or 0]
        return torch.as_tensor(scheduler.precondition_outputs(sample[:1].float(), output, level))
    alphas = getattr(scheduler, "alphas_cumprod", None)
    if alphas is None:
        return None
    # the model sees unit-variance input, so one formula serves every scheduler
    scaled: torch.Tensor = scheduler.scale_model_input(sample, time)[:1].float()
    kept = float(alphas[min(len(alphas) - 1, max(0, round(t)))])
    alpha, sigma = math.sqrt(kept), math.sqrt(1 - kept)
    prediction = config.get("prediction_type", "epsilon")
    if prediction == "v_prediction":
        return alpha * scaled - sigma * output  # Salimans and Ho 2022, appendix D
    return output if prediction == "sample" else (scaled - sigma * output) / max(alpha, 1e-3)


class Previewer:
    """Makes previews for one model out of clean latents; fits its own latents-to-RGB map, so no family needs constants.

    Args:
        channels_last: in a token's patch, as Ideogram 4 packs them.
    """

    def __init__(self, pipe: Any, *, channels_last: bool = False) -> None:
        found = (each for name in DECODERS if (each := getattr(pipe, name, None)) is not None)
        self._vae: Any = next(found, None)
        self._channels_last = channels_last
        parameters = () if self._vae is None else self._vae.parameters()
        self._tiny = sum(p.numel() for p in parameters) <= TINY_VAE
        self._map: torch.Tensor | None = None

    def paint(self, clean: torch.Tensor, size: tuple[int, int]) -> Image.Image:
        """The predicted picture.

        Args:
            clean: latents of one image as its scheduler has them, spatial or as tokens of 2x2 patches.
            size: the picture's width and height in pixels.
        """
        if self._vae is None:  # the pixels themselves
            return _picture(clean[0], size)
        latents = self._spatial(clean, size)
        return _picture(self._decode(latents) if self._tiny else self._project(latents), size)

    def _spatial(self, clean: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """(1, C, h, w), in the VAE's own units where its statistics are those of patches (FLUX.2)."""
        if clean.dim() == 3:
            columns = max(1, round((clean.shape[1] * size[0] / size[1]) ** 0.5))
            clean = clean.view(1, clean.shape[1] // columns, columns, clean.shape[2]).permute(0, 3, 1, 2)
        if clean.dim() == 6 and clean.shape[3] == 1:  # pictures beside each other, the new one last (JoyImage)
            clean = clean[:, -1]
        if clean.dim() == 5:  # a video of one frame
            clean = clean[:, :, 0]
        norm = getattr(self._vae, "bn", None)
        if norm is not None:
            if norm.num_features == 4 * clean.shape[1]:
                clean = torch.nn.functional.pixel_unshuffle(clean, 2)
            spread = (norm.running_var + self._vae.config.batch_norm_eps).sqrt()
            clean = clean * _columns(spread, clean) + _columns(norm.running_mean, clean)
        return self._unpatched(clean) if clean.shape[1] == 4 * self._channels else clean

    def _unpatched(self, patches: torch.Tensor) -> torch.Tensor:
        """(1, 4 C, h, w) -> (1, C, 2 h, 2 w)."""
        _, channels, high, wide = patches.shape
        if self._channels_last:
            cells = patches.view(1, 2, 2, channels // 4, high, wide).permute(0, 3, 4, 1, 5, 2)
        else:
            cells = patches.view(1, channels // 4, 2, 2, high, wide).permute(0, 1, 4, 2, 5, 3)
        return cells.reshape(1, channels // 4, high * 2, wide * 2)

    @property
    def _channels(self) -> int:
        config = self._vae.config
        return int(config.get("latent_channels") or config.get("z_dim") or 0)

    def _decode(self, clean: torch.Tensor) -> Any:
        """(1, C, h, w) -> (3, H, W)."""
        vae = self._vae
        latents = self._own_units(clean).to(vae.dtype)
        flat = not hasattr(vae.config, "z_dim")
        decoded = vae.decode(latents if flat else latents[:, :, None], return_dict=False)[0][0]
        return (decoded if flat else decoded[:, 0]).float()

    def _own_units(self, clean: torch.Tensor) -> torch.Tensor:
        """As the VAE has them: its config tells by what they were scaled for the denoiser."""
        config = self._vae.config
        if getattr(self._vae, "bn", None) is not None:
            return clean
        mean, spread = config.get("latents_mean"), config.get("latents_std")
        scaled = clean / (config.get("scaling_factor") or 1.0)
        if mean is None or spread is None:
            return scaled + (config.get("shift_factor") or 0.0)
        return scaled * _columns(torch.tensor(spread), clean) + _columns(torch.tensor(mean), clean)

    def _project(self, clean: torch.Tensor) -> torch.Tensor:
        """(1, C, h, w) -> (3, h, w), by a linear map fitted once on what the VAE makes of noise."""
        if self._map is None:
            self._map = self._fit(clean.shape[1], clean.device)
        ones = torch.ones_like(clean[:, :1])
        return torch.einsum("chw,cr->rhw", torch.cat([clean, ones], dim=1)[0], self._map)

    def _fit(self, channels: int, device: torch.device) -> Any:
        generator, side = torch.Generator().manual_seed(0), (CALIBRATION, CALIBRATION)
        inputs, targets = [], []
        for _ in range(math.ceil(SEEN_EACH * (channels + 1) / CELLS**2)):  # one by one: the device may be nearly full
            noise = torch.randn(1, channels, CELLS, CELLS, generator=generator).to(device)
            latents = torch.nn.functional.interpolate(noise, size=side, mode="bicubic")
            seen = torch.nn.functional.interpolate(self._decode(latents)[None], size=side, mode="area")
            inputs.append(torch.cat([latents, torch.ones_like(latents[:, :1])], dim=1)[0].flatten(1).T.cpu())
            targets.append(seen[0].flatten(1).T.cpu())
        return torch.linalg.lstsq(torch.cat(inputs), torch.cat(targets)).solution.to(device)


def _columns(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """One value a channel, to be spread over (1, C, h, w)."""
    return values.to(like).view(1, -1, 1, 1)


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
