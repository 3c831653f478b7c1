"""Build diffusers' schedulers, one object a job."""

from __future__ import annotations

import copy
import functools
import importlib.util
from typing import Any

import diffusers
import numpy as np
from diffusers.schedulers.scheduling_lms_discrete import LMSDiscreteScheduler

from engine import schedulers


class ExactLMS(LMSDiscreteScheduler):  # type: ignore[misc,unused-ignore]
    """LMS without scipy: the coefficients are integrals of polynomials, so no quadrature is needed."""

    def get_lms_coefficient(self, order: int, t: int, current_order: int) -> float:
        """Integral of the Lagrange basis polynomial over the step from sigma t to sigma t + 1."""
        sigmas = [float(self.sigmas[t - k]) for k in range(order)]
        here = sigmas[current_order]
        others = [s for k, s in enumerate(sigmas) if k != current_order]
        basis = np.poly1d(others, r=True) / float(np.prod([here - s for s in others]))
        integral = basis.integ()
        return float(integral(float(self.sigmas[t + 1])) - integral(float(self.sigmas[t])))


def build(name: str, own: Any, *, is_default: bool, on_cpu: bool = True) -> Any:
    """A fresh scheduler: a copy of the model's `own`, or another kind with the model's noise settings."""
    if is_default:
        made = copy.deepcopy(own)
    else:
        wanted = schedulers.resolve(name)
        made = _class(wanted.class_name).from_config(own.config, **wanted.config)
    return _on_cpu(made) if on_cpu else made


def _class(name: str) -> Any:
    if name == "LMSDiscreteScheduler" and importlib.util.find_spec("scipy") is None:
        return ExactLMS
    return getattr(diffusers, name)


def _on_cpu(scheduler: Any) -> Any:
    """Keep the timetable on the CPU: DDIM, LCM and PNDM would read it back from the device every step."""
    original = scheduler.set_timesteps

    @functools.wraps(original)  # pipelines inspect the signature
    def set_timesteps(num_inference_steps: int | None = None, device: Any = None, **kwargs: Any) -> None:
        original(num_inference_steps, device="cpu", **kwargs)

    scheduler.set_timesteps = set_timesteps
    return scheduler
