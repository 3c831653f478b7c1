"""What a job reports, in the order its ticket yields it: queued, started, steps, images, the end. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from engine.api.errors import EngineError
from engine.api.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """The job waits. `position` counts the jobs served before it; `eta_s` until its end, None while unmeasured."""

    position: int
    eta_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The first step of the job's first image begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`step` of `steps` denoiser steps are done, over all images of the job."""

    step: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A rough small RGB picture of painting `index` (0 to `draws`), made from its latents; blurred when `flagged`."""

    index: int
    image: Image.Image
    flagged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReady:
    """Image `index` is finished: RGB at full size; `seed` and `recipe` tell how to make it again.

    `flagged`: the safety check or the image gate objects; `reason` says to what. What is done about it is not ours.
    """

    index: int
    image: Image.Image
    seed: int
    recipe: Recipe
    flagged: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Every image was ready. `wait_s` before the first step, `run_s` from there."""

    wait_s: float
    run_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The job ended early; the images that were ready before stay good."""

    error: EngineError


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The job was cancelled at a step boundary."""


Event = Queued | Started | Progress | Preview | ImageReady | Finished | Failed | Cancelled
Terminal = (Finished, Failed, Cancelled)
