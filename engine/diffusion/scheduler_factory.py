"""Build diffusers' schedulers, one object a job."""

from __future__ import annotations

import copy
import functools
from typing import Any

import diffusers

from engine.api import schedulers


def build(name: str, own: Any, *, is_own: bool, on_cpu: bool = True) -> Any:
    """A fresh scheduler: a copy of the model's `own`, or another kind with the model's noise settings."""
    if is_own:
        made = copy.deepcopy(own)
    else:
        wanted = schedulers.resolve(name)
        made = getattr(diffusers, wanted.class_name).from_config(own.config, **wanted.config)
    return _on_cpu(made) if on_cpu else made


def _on_cpu(scheduler: Any) -> Any:
    """Keep the timetable on the CPU: DDIM, LCM and PNDM would read it back from the device every step."""
    original = scheduler.set_timesteps

    @functools.wraps(original)  # pipelines inspect the signature
    def set_timesteps(num_inference_steps: int | None = None, device: Any = None, **kwargs: Any) -> None:
        original(num_inference_steps, device="cpu", **kwargs)

    scheduler.set_timesteps = set_timesteps
    return scheduler
