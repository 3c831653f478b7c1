"""What a job reports, in the order its ticket yields it: queued, loading, started, steps, images, its end. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PIL import Image

from engine.api.errors import EngineError
from engine.api.recipe import Recipe

GB, MB = 1_000_000_000, 1_000_000
UNITS = ((GB, "GB"), (MB, "MB"))  # as shops and hubs count
FEW_GB = 10 * GB


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """The job waits. `position` counts the jobs served before it; `eta_s` until its end, None while unmeasured."""

    position: int
    eta_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """The job waits for files: `model` is downloaded or read into memory. 0 of 0 bytes while nobody knows how many."""

    model: str
    stage: Literal["download", "load"]
    done_bytes: int
    total_bytes: int

    def __str__(self) -> str:
        """As a sentence that isn't over yet: "Loading flux (12 of 24 GB)..."."""
        verb = "Downloading" if self.stage == "download" else "Loading"
        size, unit = next((each for each in UNITS if self.total_bytes >= each[0]), (1, ""))
        far = f" ({self.done_bytes / size:.{self._digits}f} of {self.total_bytes / size:.{self._digits}f} {unit})"
        return f"{verb} {self.model}{far if unit else ''}..."

    @property
    def _digits(self) -> int:
        """Of the fraction: one where there are few gigabytes."""
        return int(GB <= self.total_bytes < FEW_GB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The first step of the job's first image begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`step` of `steps` denoiser steps are done, over all images of the job."""

    step: int
    steps: int

    def __post_init__(self) -> None:
        """Raises: ValueError for what is no share of anything: whoever shows it divides by it."""
        if self.step < 0 or self.steps < 1:
            raise ValueError(f"{self.step} of {self.steps} steps")


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


Event = Queued | Loading | Started | Progress | Preview | ImageReady | Finished | Failed | Cancelled
Terminal = (Finished, Failed, Cancelled)
