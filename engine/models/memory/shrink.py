"""Weights in fewer bits: kept in fp8 or 4 bits, and widened each time their layer computes.

In fp8 a layer computes what diffusers' `enable_layerwise_casting` has it compute. That casts a module's own tensors to
and fro, though, and its hooks stay with the module they were made for, so nothing that shares the weights, as a LoRA's
copy does, could live with it; here a layer's weight is a property, and nothing is ever changed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from engine.models.memory.sizes import can_be_small

BLOCK = 64  # numbers that share a scale
# The 16 levels of NormalFloat, quantiles of the normal distribution: Dettmers et al. 2023, arXiv:2305.14314, appendix E
LEVELS = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635),
    *(-0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725),
    *(0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941),
    *(0.7229568362236023, 1.0),
)


class _Small:
    """A layer whose weight is kept small in buffers; `wide`: the precision it computes in."""

    wide: torch.dtype
    stored: torch.Tensor
    scales: torch.Tensor
    shape: torch.Size

    @property
    def weight(self) -> torch.Tensor:
        if self.stored.dtype != torch.uint8:
            return self.stored.to(self.wide)
        levels = torch.tensor(LEVELS, device=self.stored.device)
        pairs = torch.stack((self.stored >> 4, self.stored & 15), dim=-1).flatten()
        numbers = levels[pairs.int()].view(-1, BLOCK) * self.scales[:, None]
        return numbers.flatten()[: self.shape.numel()].view(self.shape).to(self.wide)


class SmallLinear(_Small, nn.Linear):  # type: ignore[override]
    pass


class SmallConv2d(_Small, nn.Conv2d):  # type: ignore[override]
    pass


SMALL: dict[type, type] = {nn.Linear: SmallLinear, nn.Conv2d: SmallConv2d}


def shrink(module: nn.Module, bits: int, device: torch.device | None = None) -> None:
    """Keep the weights of its large layers in 8 or 4 bits; on `device`, where one is given, layer by layer."""
    patterns = (*_of_class(module, "_keep_in_fp32_modules"), *_of_class(module, "_skip_layerwise_casting_patterns"))
    for name, layer in list(module.named_modules()):
        small = SMALL.get(type(layer))
        if small is None or not can_be_small(name) or any(pattern.strip("^$") in name for pattern in patterns):
            continue
        if type(layer._parameters["weight"]) is not nn.Parameter:  # packed already, as torchao does it
            continue
        weight: torch.Tensor = layer._parameters.pop("weight")
        data = weight.data if device is None else weight.data.to(device)
        layer.__dict__.update(wide=weight.dtype, shape=weight.shape)
        stored, scales = (data.to(torch.float8_e4m3fn), None) if bits == 8 else four_bit(data)
        layer.register_buffer("stored", stored, persistent=False)
        if scales is not None:
            layer.register_buffer("scales", scales, persistent=False)
        layer.__class__ = small


def _of_class(module: nn.Module, name: str) -> tuple[str, ...]:
    found: Any = getattr(module, name, None)
    return tuple(found or ())


def four_bit(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two numbers a byte, (ceil(N / 64) x 32,), and each block's largest magnitude, (ceil(N / 64),) float32."""
    flat = weight.float().flatten()
    blocks = nn.functional.pad(flat, (0, -len(flat) % BLOCK)).view(-1, BLOCK)
    scales = blocks.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny)
    levels = torch.tensor(LEVELS, device=weight.device)
    middles = (levels[1:] + levels[:-1]) / 2
    nearest = torch.bucketize(blocks / scales[:, None], middles).to(torch.uint8).flatten()
    return (nearest[::2] << 4) | nearest[1::2], scales
