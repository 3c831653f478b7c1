"""A backend without torch: the same protocol, coloured squares for pictures. For tests and for trying the bot.

It serves one job after the other in order of arrival, with real events, a delay a step, and failures on demand.
"""

from __future__ import annotations

import asyncio
import colorsys
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from PIL import Image, ImageDraw

from engine import edits, resolve
from engine.errors import DeviceLost, EngineClosed, EngineError, QueueFull, RenderFailed
from engine.tickets import JobTicket
from engine.types import (
    Cancelled,
    EngineStatus,
    Failed,
    Finished,
    ImageReady,
    ModelInfo,
    Preview,
    Progress,
    Queued,
    Recipe,
    Started,
    Txt2Img,
)

FAIL_WORD = "!fail"  # a prompt with it fails for good
LOST_WORD = "!lost"  # a prompt with it fails in a way that a retry may mend
PREVIEW_EVERY = 4  # steps
MINI = ModelInfo(
    key="mini",
    family="sd1",
    width=128,
    height=128,
    num_inference_steps=4,
    guidance_scale=4.0,
    scheduler="euler",
    max_pixels=512 * 512,
)


def paint(seed: int, width: int, height: int) -> Image.Image:
    """The picture of a seed: a disc on a ground, in colours the seed draws."""
    dice = random.Random(seed)
    ground, disc = (colorsys.hsv_to_rgb(dice.random(), 0.5 + dice.random() / 2, 0.9) for _ in range(2))
    image = Image.new("RGB", (width, height), tuple(int(c * 255) for c in ground))
    x, y, r = dice.uniform(0.2, 0.8) * width, dice.uniform(0.2, 0.8) * height, min(width, height) / 5
    ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), fill=tuple(int(c * 255) for c in disc))
    return image


def _parts(request: Txt2Img, info: ModelInfo, seed: int) -> Iterator[Image.Image]:
    for part in range(edits.parts(request, info)):
        own = edits.part_seed(seed, part)
        region, _ = edits.prepare(request, info, own, part)
        yield edits.finish(region, paint(own, *edits.canvas(request, info)))


def fail_by_prompt(request: Txt2Img) -> EngineError | None:
    """The error a prompt asks for."""
    if FAIL_WORD in request.prompt:
        return RenderFailed(reason="the prompt asked for it")
    return DeviceLost() if LOST_WORD in request.prompt else None


@dataclass(eq=False)
class _Job:
    request: Txt2Img
    ticket: JobTicket = field(init=False)
    submitted: float = field(default_factory=time.monotonic)
    cancelled: bool = False

    @property
    def steps(self) -> int:
        return (self.request.num_inference_steps or 1) * self.request.num_images


class FakeEngine:
    """Implements `engine.Backend`.

    Args:
        models: what `models()` answers; the first is the default.
        step_s: seconds a step takes. max_queue: jobs that may wait.
        fail: asked once a job, before its last image; the error it returns ends the job.
    """

    def __init__(
        self,
        models: Sequence[ModelInfo] = (MINI,),
        *,
        step_s: float = 0.0,
        max_queue: int = 1000,
        fail: Callable[[Txt2Img], EngineError | None] = fail_by_prompt,
    ) -> None:
        self._models = tuple(models)
        self.step_s, self.max_queue, self.fail = step_s, max_queue, fail
        self._waiting: deque[_Job] = deque()
        self._running: _Job | None = None
        self._closed = False
        self._work = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.close()

    async def start(self) -> None:
        if self._worker is None:
            self._worker = asyncio.create_task(self._serve(), name="fake-engine")

    async def close(self, grace_s: float = 0.0) -> None:
        self._closed = True
        tickets = [job.ticket for job in (self._running, *self._waiting) if job]
        if self._running and grace_s:
            await self._running.ticket.wait(grace_s)
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for ticket in tickets:
            ticket.publish(Failed(error=EngineClosed()))
        self._waiting.clear()

    def models(self) -> tuple[ModelInfo, ...]:
        return self._models

    def status(self) -> EngineStatus:
        return EngineStatus(queued=len(self._waiting), running=int(self._running is not None), loaded=("fake",))

    def estimate_s(self, request: Txt2Img) -> float | None:
        return (request.num_inference_steps or self._models[0].num_inference_steps) * request.num_images * self.step_s

    def submit(self, request: Txt2Img, *, user: str = "", weight: float = 1.0, lane: str = "fast") -> JobTicket:
        if self._closed:
            raise EngineClosed()
        if len(self._waiting) >= self.max_queue:
            raise QueueFull(retry_after_s=max(1.0, len(self._waiting) * self.step_s))
        job = _Job(resolve.complete(request, resolve.find(self._models, request.model)))
        job.ticket = JobTicket(lambda: self._cancel(job))
        self._waiting.append(job)
        self._tell_positions()
        self._work.set()
        return job.ticket

    def _cancel(self, job: _Job) -> None:
        job.cancelled = True
        if job in self._waiting:
            self._waiting.remove(job)
            job.ticket.publish(Cancelled())
            self._tell_positions()

    def _tell_positions(self) -> None:
        ahead = [self._running] if self._running else []
        for position, job in enumerate(self._waiting, start=len(ahead)):
            eta_s = sum(j.steps for j in [*ahead, *list(self._waiting)[: position + 1 - len(ahead)]]) * self.step_s
            job.ticket.publish(Queued(position=position, eta_s=eta_s))

    async def _serve(self) -> None:
        while True:
            while not self._waiting:
                self._work.clear()
                await self._work.wait()
            self._running = self._waiting.popleft()
            self._tell_positions()
            await self._run(self._running)
            self._running = None

    async def _run(self, job: _Job) -> None:
        wait_s, started = time.monotonic() - job.submitted, time.monotonic()
        job.ticket.publish(Started())
        for index in range(job.request.num_images):
            error = self.fail(job.request) if index == job.request.num_images - 1 else None
            await self._image(job, index, fail=error)
            if job.ticket.ended:
                return
        job.ticket.publish(Finished(wait_s=wait_s, run_s=time.monotonic() - started))

    async def _image(self, job: _Job, index: int, *, fail: EngineError | None) -> None:
        request = job.request
        seed, steps = resolve.image_seed(request, index), request.num_inference_steps or 1
        info = resolve.find(self._models, request.model)
        image = edits.unpainted(request) or edits.join(request, info, [*_parts(request, info, seed)])
        for step in range(1, steps + 1):
            await asyncio.sleep(self.step_s)
            if job.cancelled:
                return job.ticket.publish(Cancelled())
            job.ticket.publish(Progress(step=index * steps + step, steps=job.steps))
            if step % PREVIEW_EVERY == 0:
                job.ticket.publish(Preview(index=index, image=image.resize((32, 32))))
        if fail is not None:
            return job.ticket.publish(Failed(error=fail))
        job.ticket.publish(ImageReady(index=index, image=image, seed=seed, recipe=recipe_of(request, index)))


def recipe_of(request: Txt2Img, index: int) -> Recipe:
    """The recipe of a fake picture."""
    return Recipe(
        task=resolve.task_of(request),
        request=resolve.to_json(request),
        index=index,
        seed=resolve.image_seed(request, index),
        model=request.model or "",
        model_sha256="0" * 64,
        mode="exact",
        rows=1,
        dtype="float32",
        device="fake",
        versions={"engine": "fake"},
    )
