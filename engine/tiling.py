"""Pictures whose edges fit each other: circular padding in every convolution, for one forward only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
