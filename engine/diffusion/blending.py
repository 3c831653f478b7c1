"""Blend pictures where a pipeline encodes one: the mean of their latents, or of their embeddings. For the thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from engine.device.fibers import Stub
from engine.tasks.pictures import ImagePrompt, Picture, covering, pixels
from engine.tasks.txt2img import Txt2Img

ROUNDS = 32  # the mean of points within a right angle of each other settles in about ten
TINY = 1e-12


def vae_for(request: Txt2Img, pipe: Any) -> Stub:
    """The stub to put in the place of the pipeline's VAE; the pipeline itself stays diffusers' img2img."""
    (_, first), *others = request.shares
    size = {"width": request.width, "height": request.height}
    tensors = [pipe.image_processor.preprocess(covering(image, request.size), **size) for image, _ in others]
    return _BlendingVae(pipe.vae, tensors, [first, *(share for _, share in others)])


def embeddings_of(request: Txt2Img, prompts: Sequence[ImagePrompt], pipe: Any) -> list[torch.Tensor]:
    """What an IP-Adapter's pipeline takes for its pictures: of each prompt the mean of what it makes of the pictures.

    A prompt has its own copy of the adapter, so that it speaks at a scale of its own; each gets the same embeddings.
    """
    assert request.guidance_scale is not None
    unet = getattr(pipe, "unet", None)  # a transformer's pipeline asks for the unwanted picture by itself
    guided = [] if unet is None else [request.guidance_scale > 1 and unet.config.time_cond_proj_dim is None]
    device = (unet or pipe.transformer).device

    def seen(image: Picture) -> torch.Tensor:
        copies = [pixels(image).convert("RGB")] * len(prompts)
        found: list[torch.Tensor] = pipe.prepare_ip_adapter_image_embeds(copies, None, device, 1, *guided)
        return found[0]

    return [_sum(seen(image) * share for image, share in prompt.shares) for prompt in prompts]


def _sum(terms: Iterable[torch.Tensor]) -> torch.Tensor:
    first, *others = terms
    return sum(others, first)


class _BlendingVae(Stub):
    """Encodes what it is given together with `others`, by their shares."""

    def __init__(self, vae: Any, others: Sequence[torch.Tensor], shares: Sequence[float]) -> None:
        shared = type(vae) is Stub  # else its pipeline runs in one go, and parks at nothing
        super().__init__(vae._module if shared else vae, "decode", ("decode",) if shared else ())
        self.__dict__.update(_others=others, _shares=shares)

    def _encode(self, image: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        output = super()._encode(image, *args, **kwargs)
        if not self._others:
            return output
        found = [
            output.latent_dist,
            *(super(_BlendingVae, self)._encode(_shaped(o.to(image), image)).latent_dist for o in self._others),
        ]
        mean = spherical_mean([each.mean for each in found], self._shares)
        spread = sum(each.logvar * share for each, share in zip(found, self._shares, strict=True))
        output.latent_dist = type(found[0])(torch.cat([mean, spread], dim=1))
        return output


def _shaped(other: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """As a pipeline has its picture: some have a dimension more, for the frames of a video.

    Where none is missing it stays as it lies in memory, which decides how a convolution is computed and so its bits.
    """
    return other if other.ndim == image.ndim else other.reshape(image.shape)


def spherical_mean(points: Sequence[torch.Tensor], shares: Sequence[float]) -> torch.Tensor:
    """The weighted mean on the sphere, for two points their slerp; a straight mean of latents would look washed out.

    Buss and Fillmore 2001 (Spherical Averages and Applications to Spherical Splines), algorithm A1: go to the mean of
    the points seen from where one stands, until one stands on it. Lengths are averaged plainly.
    """
    rows = torch.stack([p.double().flatten() for p in points])
    weights = torch.tensor(shares, dtype=torch.float64, device=rows.device)[:, None]
    lengths = rows.norm(dim=1, keepdim=True)
    units = rows / lengths.clamp_min(TINY)
    here = _unit((weights * units).sum(0))
    for _ in range(ROUNDS):
        step = (weights * _seen_from(here, units)).sum(0)
        far = step.norm()
        if far < TINY:
            break
        here = _unit(torch.cos(far) * here + torch.sin(far) * step / far)
    mean: torch.Tensor = here * (weights * lengths).sum()
    return mean.reshape(points[0].shape).to(points[0].dtype)


def _seen_from(here: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
    """The way to each unit vector along its great circle: its direction, as long as the angle."""
    cosines = (units @ here).clamp(-1, 1)[:, None]
    away = units - cosines * here
    return torch.arccos(cosines).mul(away).div(away.norm(dim=1, keepdim=True).clamp_min(TINY))


def _unit(vector: torch.Tensor) -> torch.Tensor:
    return vector.div(vector.norm().clamp_min(TINY))
