"""One submitted job inside the engine, and the images it is made of. Knows no torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from engine.api.events import Cancelled, Event, Failed, Finished, ImageReady, Loading, Progress, Queued, Started
from engine.api.model_info import ModelInfo
from engine.imaging.tiles import Mosaic
from engine.runtime.policy import StepTimes
from engine.tasks.txt2img import Txt2Img

if TYPE_CHECKING:
    from engine.device.loader import Load

PROGRESS_INTERVAL_S = 0.05  # every event wakes the event loop; nobody sees more than 20 a second
MOST_CALLS_A_STEP = 3  # wanted, unwanted, and a perturbed one
ETA_CHANGE = 0.1  # a new ETA is told when it differs by a tenth
GUESS_S_PER_PIXEL = 1e-6  # before anything was measured; only the order matters then


@dataclass(eq=False)
class ImageRun:
    """One image of a job: a fiber once started, and the call it waits for."""

    job: Job
    index: int
    part: int = 0
    fiber: Any = None
    call: Any = None
    model: Any = None
    pipe: Any = None
    watch: Any = None  # sees the steps of its scheduler, where it has one
    calls: int = 0
    steps: int = 0
    step_s: float = 0.0  # what the calls of the step that is being made took
    rows: int = 1
    done: bool = False

    @property
    def steps_made(self) -> int:
        """Steps of its scheduler; of a pipeline without one, or that goes past it, the denoiser's calls."""
        seen = self.watch.steps if self.watch is not None else 0
        return self.calls if not seen and (self.watch is None or self.calls > MOST_CALLS_A_STEP) else seen

    @property
    def unstarted(self) -> bool:
        job = self.job
        return not (self.fiber is not None or self.done or job.ended or job.needs_room) and job.awaits is None

    def leave(self) -> None:
        """Let go of its model and its pipeline; a picture of 4096 px has a thousand of them."""
        if self.model is not None:
            self.model.release()
        self.model, self.pipe, self.watch, self.call, self.fiber = None, None, None, None, None


@dataclass(eq=False)
class Job:
    """One request in the engine thread. `post` hands an event to the submitter's loop.

    Attributes:
        adults: whether nobody else will see its pictures. awaits: the load that it waits for.
        needs_room: whether it waits until others' models may go. held: models that stay in memory until it has ended.
    """

    number: int
    request: Txt2Img
    info: ModelInfo
    user: str
    weight: float
    lane: str
    post: Callable[[Event], None]
    adults: bool = False
    submitted: float = field(default_factory=time.perf_counter)
    started: float | None = None
    images: list[ImageRun] = field(default_factory=list)
    drawn: list[ImageReady] = field(default_factory=list)
    calls_each: int = 0
    calls_done: int = 0
    ended: bool = False
    awaits: Load | None = None
    needs_room: bool = False
    held: list[Any] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)
    _mosaics: dict[int, Mosaic] = field(default_factory=dict)
    _told: Queued | None = None
    _progress_at: float = 0.0

    def __post_init__(self) -> None:
        self.images = [
            ImageRun(self, i, part) for i in range(self.request.draws) for part in range(self.request.parts(self.info))
        ]
        self.calls_each = self.request.calls_run(self.info)
        self.size = self.request.canvas(self.info)

    @property
    def parted(self) -> bool:
        """Whether its images are painted in several parts each."""
        return len(self.images) != self.request.draws

    @property
    def pixels(self) -> int:
        """What a call's seconds depend on."""
        return weighted_pixels(self.request, self.size)

    @property
    def calls(self) -> int:
        """Denoiser calls of all its images."""
        return self.calls_each * len(self.images)

    def length_s(self, pace: StepTimes) -> float:
        """Device seconds in all, as far as is known."""
        return max(1, self.calls) * self.step_s(pace)

    def remaining_s(self, pace: StepTimes) -> float:
        """Device seconds to go, as far as is known."""
        return max(1, self.calls - self.calls_done) * self.step_s(pace)

    def step_s(self, pace: StepTimes) -> float:
        """Device seconds of one step of one image, as far as is known."""
        pixels = self.pixels
        seconds = pace.seconds(paced_as(self.request, self.info), pixels)
        return pixels * GUESS_S_PER_PIXEL if seconds is None else seconds

    def collect(self, image: ImageRun, picture: Any) -> Any:
        """Take in a finished part; the image it belongs to, once that is whole."""
        image.done = True
        mosaic = self._mosaics.get(image.index) or self.request.mosaic(self.info)
        if mosaic is None:
            return picture
        self._mosaics[image.index] = mosaic
        whole = mosaic.add(image.part, picture)
        if whole is not None:
            del self._mosaics[image.index]
        return whole

    def end(self, event: Finished | Failed | Cancelled) -> None:
        """Emit the last event, once."""
        if not self.ended:
            self.ended = True
            self.post(event)

    def tell_position(self, position: int, eta_s: float | None) -> None:
        """Emit `Queued` if there is news in it."""
        told = self._told
        if told is not None and told.position == position and not _differs(told.eta_s, eta_s):
            return
        self._told = Queued(position=position, eta_s=eta_s)
        self.post(self._told)

    def await_load(self, load: Load) -> None:
        """Be passed over until it has ended."""
        self.awaits, self._told = load, None
        self.tell_loading()

    def tell_loading(self) -> None:
        """Emit `Loading`."""
        if (load := self.awaits) is not None:
            stage: Literal["download", "load"] = "download" if load.stage == "download" else "load"
            self.post(Loading(model=load.name, stage=stage, done_bytes=load.done_bytes, total_bytes=load.total_bytes))

    def hold(self, model: Any) -> None:
        """Keep a model in memory until the job has ended; once is enough."""
        if not any(each is model for each in self.held):
            model.hold()
            self.held.append(model)

    def let_go(self) -> None:
        """Need no model any more."""
        for model in self.held:
            model.hold(-1)
        self.held.clear()

    def tell_started(self) -> None:
        """Emit `Started`, once."""
        if self.started is None:
            self.started = time.perf_counter()
            self.post(Started())

    def tell_progress(self) -> None:
        """Emit `Progress`, not too often, but always the last."""
        now, total = time.perf_counter(), self.calls
        if now - self._progress_at >= PROGRESS_INTERVAL_S or self.calls_done >= total:
            self._progress_at = now
            self.post(Progress(step=min(self.calls_done, total), steps=total))


def _differs(old: float | None, new: float | None) -> bool:
    if old is None or new is None:
        return old is not new
    return abs(new - old) > ETA_CHANGE * max(old, 1.0)


def weighted_pixels(request: Txt2Img, size: tuple[int, int]) -> int:
    """Pixels of all rows of one image's call: guidance paints twice."""
    rows = 2 if (request.guidance_scale or 0) > 1 else 1
    return size[0] * size[1] * rows


def paced_as(request: Txt2Img, info: ModelInfo) -> str:
    """What besides the pixels a step's seconds depend on."""
    return " with ".join((info.key, *(guide.controlnet for guide in request.guides)))
