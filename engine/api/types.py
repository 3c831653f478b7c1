"""The engine's vocabulary: requests in, events and images out. Knows no torch, no Discord, no SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from PIL import Image

from engine.api.errors import EngineError
from engine.api.model_info import ModelInfo
from engine.api.safety import Verdict
from engine.tasks.txt2img import Txt2Img

Ability = Literal["describe", "segment", "rank", "safety", "super_resolution"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides an image's bytes; stored with the image and written into its PNG.

    `request` holds the resolved request as plain JSON values (no None that a default filled, no pictures: an init image
    appears as its sha256). `index` counts the paintings of its job, so `seed` is the request's plus it, also when only
    the best were kept. `versions`, `device`, `dtype`, `mode`, `rows` are
    what "the same seed, the same bytes" depends on besides. `adapters`: the sha256 of each LoRA, embedding,
    IP-Adapter and ControlNet in use.
    """

    task: str
    request: Mapping[str, Any]
    index: int
    seed: int
    model: str
    model_sha256: str
    mode: str
    rows: int
    dtype: str
    device: str
    versions: Mapping[str, str]
    adapters: Mapping[str, str] = field(default_factory=dict)


# ---------------------------------------------------------------- events, in the order a ticket sees them
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


class Ticket(Protocol):
    """One submitted job. Iterating gives its events up to and including the terminal one."""

    def __aiter__(self) -> AsyncIterator[Event]: ...

    async def result(self) -> list[Image.Image]:
        """Wait for the end; the images in order. Raises: EngineError; asyncio.CancelledError when cancelled."""
        ...

    def cancel(self) -> None:
        """Stop at the next step boundary. Idempotent; harmless after the end."""
        ...


class Backend(Protocol):
    """What the bot needs of an engine; `engine.Engine` and `engine.api.fake.FakeEngine` implement it."""

    def models(self) -> tuple[ModelInfo, ...]:
        """The models that may be named in a request; the first is the default."""
        ...

    def submit(self, request: Txt2Img, *, user: str, weight: float = 1.0, lane: str = "fast") -> Ticket:
        """Queue a job. Call from the event loop; returns at once. A model is loaded when first needed.

        `user` is the unit of fairness, `weight` its share, `lane` is `fast` or `relax` (served when fast is idle, but
        never starved). Raises: InvalidRequest, UnknownModel, UnknownScheduler, QueueFull, EngineClosed.
        """
        ...

    def abilities(self) -> frozenset[Ability]:
        """What it can do besides painting, with the models that are configured."""
        ...

    async def describe(self, image: Image.Image) -> list[str]:
        """Up to four prompts that might have made a picture, the likeliest first. Raises: InvalidRequest."""
        ...

    async def segment(self, image: Image.Image, what: str) -> Image.Image:
        """Where `what` is: an L mask of the picture's size, 255 there and 0 elsewhere. Raises: InvalidRequest.

        Refused when nothing in the picture looks like it, and when no segmentation model is configured.
        """
        ...

    async def check(self, image: Image.Image) -> Verdict:
        """Whether a picture may be used; everything is fine where no check is configured. Raises: ModelUnloadable."""
        ...

    def status(self) -> EngineStatus: ...

    def estimate_s(self, request: Txt2Img) -> float | None:
        """Seconds the job would take alone, from measured step times; None before the first measurement."""
        ...

    async def start(self) -> None:
        """Start the thread; models load in the background. Idempotent."""
        ...

    async def close(self, grace_s: float = 0.0) -> None:
        """Refuse new jobs, let running ones finish for `grace_s`, fail the rest with EngineClosed, free the device."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """For `/info` and health checks."""

    device: str = "cpu"
    dtype: str = "float32"
    mode: str = "exact"
    loaded: tuple[str, ...] = ()
    queued: int = 0
    running: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
