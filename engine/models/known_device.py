"""Pipelines that are told where they run; diffusers' own look through all modules each time they are asked."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Any, cast

import torch


def tell(pipe: Any, device: torch.device) -> None:
    """Have a pipeline answer with this device from now on."""
    pipe.__class__ = _told(cast(Hashable, type(pipe)))
    pipe.__dict__["_known_device"] = device


@functools.cache
def _told(kind: Any) -> type:
    where = property(lambda pipe: pipe.__dict__["_known_device"])
    return type(kind.__name__, (kind,), {"__module__": kind.__module__, "device": where, "_execution_device": where})
