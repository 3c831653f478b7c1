"""What the bot needs of an engine: the protocols that `Engine` and `FakeEngine` implement. Knows no torch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from PIL import Image

from engine.api.events import Event
from engine.api.left_out import LeftOut
from engine.api.model_info import ModelInfo
from engine.api.rewriting import Aim
from engine.api.safety import Verdict
from engine.tasks.txt2img import Txt2Img

Ability = Literal["describe", "segment", "rank", "rewrite", "safety", "super_resolution"]
STANDS_S = {"cpu": 1800.0}  # without a step: one of the largest picture on a slow processor takes many minutes
CARD_STANDS_S = 600.0  # elsewhere a step takes seconds, and a load tells how far it is
COUNTED = ("rounds", "memory_bytes", "free_bytes")  # facts that are numbers
HOPELESS = 4  # times that: whatever computes longer is of no use to anybody, so it hangs


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """One engine of several.

    Attributes:
        own: whether it's a process of Easel's. up: whether it's there; `problem` says why not. drained: it gets no
            more jobs, because somebody wants that. models: that it can paint with; loaded: those in memory. running,
            queued: jobs that it was given. done: jobs that it has finished. ends: how often it was gone; last_end: why,
            the last time. memory_bytes: that it holds; free_bytes: that nobody does.
    """

    name: str
    device: str = ""
    own: bool = False
    up: bool = True
    drained: bool = False
    problem: str = ""
    models: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()
    running: int = 0
    queued: int = 0
    memory_bytes: int = 0
    free_bytes: int = 0
    ends: int = 0
    last_end: str = ""
    done: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """For `/info`, metrics and health checks.

    `facts["lost"]`: a sentence why nothing can be painted until it is built anew. `facts["memory_bytes"]`: of the
    device, as far as it has its own. `facts["rounds"]`: grows while something is painted. `facts["leaving"]`: it wants
    no more jobs.
    `memory`: how each model on this disk is kept, or would be: as in "whole, 6.9 GB". `workers`: where it is several
    engines, each of them.
    """

    device: str = "cpu"
    dtype: str = "float32"
    mode: str = "exact"
    loaded: tuple[str, ...] = ()
    queued: int = 0
    running: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    memory: Mapping[str, str] = field(default_factory=dict)
    workers: tuple[WorkerStatus, ...] = ()

    def __post_init__(self) -> None:
        """Raises: ValueError for facts that are to be numbers and are none: others count with them."""
        for name in COUNTED:
            value = self.facts.get(name, 0)
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"the fact {name} is no count")


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
    """What the bot needs of an engine; `engine.Engine` and `engine.fake.FakeEngine` implement it."""

    def models(self) -> tuple[ModelInfo, ...]:
        """The models that may be named in a request; the first is the default."""
        ...

    def left_out(self) -> tuple[LeftOut, ...]:
        """What is configured and cannot be used, with the reason; known from the start."""
        ...

    def submit(
        self, request: Txt2Img, *, user: str, weight: float = 1.0, lane: str = "fast", adults: bool = False
    ) -> Ticket:
        """Queue a job. Call from the event loop; returns at once. A model is loaded when first needed.

        `user` is the unit of fairness, `weight` its share, `lane` is `fast` or `relax` (served when fast is idle, but
        never starved). `adults`: only adults will see the pictures, as in an age-restricted channel. Raises:
        InvalidRequest, UnknownModel, UnknownScheduler, QueueFull, EngineClosed.
        """
        ...

    def abilities(self) -> frozenset[Ability]:
        """What it can do besides painting, with the models that are configured."""
        ...

    async def describe(self, image: Image.Image) -> list[str]:
        """Up to four prompts that might have made a picture, the likeliest first. Raises: InvalidRequest."""
        ...

    async def weigh(self, prompt: str, model: str) -> list[tuple[str, float]]:
        """How much each word of a prompt matters to a model, 0..1 of the most important one, in their order.

        By the model's own CLIP, else the one that ranks: how far the prompt's embedding moves without the word. Raises:
        InvalidRequest where there is none.
        """
        ...

    async def rewrite(self, text: str, aim: Aim) -> str:
        """What a prompt helper makes of a text, to be read and changed first. Raises: InvalidRequest without one."""
        ...

    async def segment(self, image: Image.Image, what: str) -> Image.Image:
        """Where `what` is: an L mask of the picture's size, 255 there and 0 elsewhere. Raises: InvalidRequest.

        Refused when nothing in the picture looks like it, and when no segmentation model is configured.
        """
        ...

    async def check(self, image: Image.Image, *, adults: bool = False) -> Verdict:
        """Whether a picture may be used; everything is fine where no check is configured. Raises: ModelUnloadable.

        `adults`: only adults will see it.
        """
        ...

    def status(self) -> EngineStatus: ...

    async def start(self) -> None:
        """Start the thread; models load in the background. Idempotent."""
        ...

    async def close(self, grace_s: float = 0.0) -> None:
        """Refuse new jobs, let running ones finish for `grace_s`, fail the rest with EngineClosed, free the device."""
        ...
