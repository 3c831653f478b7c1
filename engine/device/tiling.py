"""Switches on a shared module that last for one forward: circular padding, and decoding in tiles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def circular(module: torch.nn.Module) -> Iterator[None]:
    """Let the module's convolutions wrap around; put back what was, so that neighbours never see it."""
    convolutions = [m for m in module.modules() if isinstance(m, torch.nn.Conv2d)]
    before = [c.padding_mode for c in convolutions]
    for convolution in convolutions:
        convolution.padding_mode = "circular"
    try:
        yield
    finally:
        for convolution, mode in zip(convolutions, before, strict=True):
            convolution.padding_mode = mode


@contextmanager
def in_tiles(vae: Any, *, on: bool) -> Iterator[None]:
    """Let a VAE work tile by tile, which needs little memory and shows faint seams."""
    before = getattr(vae, "use_tiling", False)
    if on and hasattr(vae, "enable_tiling"):
        vae.enable_tiling()
    try:
        yield
    finally:
        if on and hasattr(vae, "use_tiling"):
            vae.use_tiling = before
