"""Numbers that ran over: seen before a picture is made of them, and computed again in float32 where that may help."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from engine.api.errors import RenderFailed

SENTENCE = (
    "The model's numbers overflowed, so there is no picture. Try another seed, size or scheduler, or lighter LoRAs."
)


def is_finite(output: Any) -> bool:
    """Whether all numbers of a module's output are numbers; a distribution's are its parameters."""
    leaves = (getattr(leaf, "parameters", leaf) for leaf in pytree.tree_leaves(output))
    return all(bool(torch.isfinite(leaf).all()) for leaf in leaves if isinstance(leaf, torch.Tensor))


def was_too_small(module: Any, given: torch.Tensor, output: Any) -> bool:
    """Whether a module's half precision was too small for what it made of `given`, so that float32 may help."""
    in_half = getattr(module, "dtype", torch.float32) != torch.float32
    return in_half and not is_finite(output) and is_finite(given)


@contextmanager
def in_float32(module: torch.nn.Module) -> Iterator[None]:
    """Let a module compute in float32; its own tensors are put back, as they may be of several precisions."""
    tensors = [*module.parameters(), *module.buffers()]
    before = [tensor.data for tensor in tensors]
    for tensor in tensors:
        if tensor.is_floating_point():
            tensor.data = tensor.data.float()
    try:
        yield
    finally:
        for tensor, data in zip(tensors, before, strict=True):
            tensor.data = data


def refuse(pipe: Any) -> None:
    """Let a pipeline make no picture of what are no numbers; they would become black, and look finished.

    Whatever the family, its last step is `numpy_to_pil`, of its image processor's or its own.
    """
    for name, part in list(vars(pipe).items()):
        if not isinstance(part, torch.nn.Module) and "numpy_to_pil" in dir(type(part)):
            careful = copy.copy(part)
            careful.__dict__["numpy_to_pil"] = _checked(part.numpy_to_pil)
            pipe.__dict__[name] = careful
    if hasattr(pipe, "numpy_to_pil"):
        pipe.__dict__["numpy_to_pil"] = _checked(pipe.numpy_to_pil)


def _checked(convert: Callable[[np.ndarray[Any, Any]], Any]) -> Callable[[np.ndarray[Any, Any]], Any]:
    @functools.wraps(convert)
    def checked(images: np.ndarray[Any, Any]) -> Any:
        check(np.isfinite(images).all())
        return convert(images)

    return checked


def check(finite: Any) -> None:
    """Raises: RenderFailed unless it is so."""
    if not finite:
        raise RenderFailed(SENTENCE)
