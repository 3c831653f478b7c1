"""Where pictures start: one CPU generator an image, and the walk from one noise towards another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from engine.tasks.canvas import Place
from engine.tasks.txt2img import Variation

MOST_UNEVEN, COARSE = 0.35, 4  # of the way to it; latent pixels of a side. Beyond, pictures dissolve
PARALLEL = 0.9995  # cosine above which the great circle degenerates and the straight line is as good


def generator(seed: int) -> torch.Generator:
    """A generator on the CPU, so that the noise does not depend on the device."""
    return torch.Generator("cpu").manual_seed(seed)


def slerp(start: torch.Tensor, end: torch.Tensor, amount: float) -> torch.Tensor:
    """The point `amount` (0..1) of the way along the great circle (Shoemake 1985); keeps a noise's length a noise's."""
    a, b = start.double(), end.double()
    cosine = (a * b).sum() / (a.norm() * b.norm())
    if cosine.abs() > PARALLEL:
        return torch.lerp(a, b, amount).to(start.dtype)
    angle = torch.arccos(cosine)
    mixed = torch.sin((1 - amount) * angle) * a + torch.sin(amount * angle) * b
    return (mixed / torch.sin(angle)).to(start.dtype)


class Varied(TorchFunctionMode):
    """While active, `torch.randn` with the base generator gives its noise moved along the chain of variations.

    Pipelines draw their starting noise in `prepare_latents`, in shapes of their own; this needs to know none of them.
    """

    def __init__(self, base: torch.Generator, chain: Sequence[Variation]) -> None:
        super().__init__()
        self._base = base
        self._links = [(generator(link.seed), link.strength) for link in chain]

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is not torch.randn or kwargs.get("generator") is not self._base:
            return func(*args, **kwargs)
        noise = func(*args, **kwargs)
        for link, strength in self._links:
            noise = slerp(noise, func(*args, **{**kwargs, "generator": link}), strength)
        return noise


class Uneven(TorchFunctionMode):
    """While active, the base generator's noise leans towards a coarse version of itself, as far as `share` (0..1) says.

    A model makes its large shapes where the noise has large ones, so it begins somewhere unusual. Its strength stays a
    noise's.
    """

    def __init__(self, base: torch.Generator, share: float) -> None:
        super().__init__()
        self._base, self._share = base, share * MOST_UNEVEN

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        noise = func(*args, **kwargs)
        if func is not torch.randn or kwargs.get("generator") is not self._base or noise.dim() != 4:
            return noise
        small = F.avg_pool2d(noise.float(), COARSE, ceil_mode=True)
        coarse = F.interpolate(small, size=noise.shape[-2:], mode="nearest")
        return slerp(noise, (coarse / coarse.std()).to(noise.dtype), self._share)


class Cropped(TorchFunctionMode):
    """While active, `torch.randn` with a generator draws the noise of a whole picture and gives a tile's part of it.

    Tiles whose generators have one seed so start from one field of noise, and agree where they overlap.
    """

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is not torch.randn or kwargs.get("generator") is None:
            return func(*args, **kwargs)
        place, (*front, high, wide) = self._place, args[0]
        cell = place.canvas[0] // wide  # pixels of a latent's side
        field = func((*front, place.whole[1] // cell, place.whole[0] // cell), **kwargs)
        top, left = place.top // cell, place.left // cell
        return field[..., top : top + high, left : left + wide].clone()
