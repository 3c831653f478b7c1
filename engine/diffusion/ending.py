"""Ending a picture early: the last step that is made gives the finished latents as it predicts them."""

from __future__ import annotations

import functools
from typing import Any

from engine.diffusion.preview import clean_latents


def end_at(scheduler: Any, share: float) -> None:
    """Let a scheduler make only the first `share` (0..1) of its steps. What is missing is detail, not brightness.

    Every pipeline asks its scheduler for the timesteps and for each step, so this needs to know none of them. Where a
    scheduler doesn't tell what it predicts, its last step stays as it is.
    """
    set_timesteps, step = scheduler.set_timesteps, scheduler.step
    left = 0

    @functools.wraps(set_timesteps)  # pipelines ask for a scheduler's parameters
    def fewer(*args: Any, **kwargs: Any) -> None:
        nonlocal left
        set_timesteps(*args, **kwargs)
        left = max(1, int(len(scheduler.timesteps) * share + 1e-6))
        scheduler.timesteps = scheduler.timesteps[:left]

    @functools.wraps(step)
    def last(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        named = {**dict(zip(("model_output", "timestep", "sample"), args, strict=False)), **kwargs}
        asked = (named["model_output"], named["timestep"], named["sample"])
        clean = clean_latents(scheduler, *asked) if left == 0 else None
        done = step(*args, **kwargs)
        if clean is None:
            return done
        clean = clean.to(named["sample"].dtype)
        if isinstance(done, tuple):
            return (clean, *done[1:])
        done.prev_sample = clean
        return done

    scheduler.set_timesteps, scheduler.step = fewer, last
