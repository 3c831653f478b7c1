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
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from PIL import Image, ImageChops, ImageDraw

from engine.api import safety as picture_safety
from engine.api.errors import (
    NO_CAPTIONER,
    NO_HELPER,
    NO_RANKER,
    NO_SEGMENTER,
    NOTHING_THERE,
    DeviceLost,
    EngineClosed,
    EngineError,
    InvalidRequest,
    QueueFull,
    RenderFailed,
)
from engine.api.events import Cancelled, Failed, Finished, ImageReady, Preview, Progress, Queued, Started
from engine.api.left_out import LeftOut
from engine.api.model_info import ModelInfo
from engine.api.recipe import Recipe
from engine.api.rewriting import Aim
from engine.api.safety import ImageGate, Verdict
from engine.api.tickets import JobTicket
from engine.backend import Ability, EngineStatus
from engine.imaging import controlnet_preprocess
from engine.mini.words import COLOURS
from engine.tasks import canvas, resolve
from engine.tasks.pictures import MAX_CONTROL_SCALE, covering
from engine.tasks.txt2img import Txt2Img

FAIL_WORD = "!fail"  # a prompt with it fails for good
LOST_WORD = "!lost"  # a prompt with it fails in a way that a retry may mend
FLAG_WORD = "!flag"  # the pictures of a prompt with it are judged unsafe
FLAG_COLOUR = (255, 0, 255)  # an upload whose first pixel has it is judged unsafe
ABILITIES: frozenset[Ability] = frozenset({"describe", "segment", "rank", "rewrite", "safety"})
PREVIEW_EVERY = 4  # steps
SAME = 8  # of 255: less is the same colour
MINI = ModelInfo(
    key="mini",
    family="sd1",
    width=128,
    height=128,
    num_inference_steps=4,
    guidance_scale=4.0,
    scheduler="euler",
    max_pixels=512 * 512,
    ranks=True,
)


def paint(seed: int, width: int, height: int) -> Image.Image:
    """The picture of a seed: a disc on a ground, in colours the seed draws."""
    dice = random.Random(seed)
    ground, disc = (colorsys.hsv_to_rgb(dice.random(), 0.5 + dice.random() / 2, 0.9) for _ in range(2))
    image = Image.new("RGB", (width, height), tuple(int(c * 255) for c in ground))
    x, y, r = dice.uniform(0.2, 0.8) * width, dice.uniform(0.2, 0.8) * height, min(width, height) / 5
    ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), fill=tuple(int(c * 255) for c in disc))
    return image


def _painted(request: Txt2Img, info: ModelInfo, seed: int) -> Image.Image:
    mosaic = request.mosaic(info)
    for part in range(request.parts(info)):
        region, _ = request.prepare(info, seed, part)
        picture = canvas.finish(region, _drawn(request, info, seed))
        whole = mosaic.add(part, picture) if mosaic else picture
    assert whole is not None, "the last part ends the picture"
    return whole


def _drawn(request: Txt2Img, info: ModelInfo, seed: int) -> Image.Image:
    """The seed's picture; of a blend, as much of it as its strength says over the mixed pictures."""
    fresh = paint(seed, *request.canvas(info))
    for guide in request.guides:
        seen = covering(guide.image, fresh.size)
        drawn = seen if guide.prepared else controlnet_preprocess.made_ready(seen, guide.controlnet)
        fresh = _outlined(fresh, drawn, guide.conditioning_scale)
    if not request.shares:
        return fresh
    mixed, total = Image.new("RGB", fresh.size), 0.0
    for image, share in request.shares:
        total += share
        mixed = Image.blend(mixed, covering(image, request.size), share / total)
    return Image.blend(mixed, fresh, request.noise_strength or 0.0)


def _outlined(fresh: Image.Image, guide: Image.Image, scale: float) -> Image.Image:
    """With the guide's bright parts laid over it, the plainer the larger the scale."""
    veil = guide.convert("L").point(lambda value: int(value * scale / MAX_CONTROL_SCALE))
    return Image.composite(Image.new("RGB", fresh.size, "white"), fresh, veil)


def fail_by_prompt(request: Txt2Img) -> EngineError | None:
    """The error a prompt asks for."""
    if FAIL_WORD in request.prompt:
        return RenderFailed(reason="the prompt asked for it")
    return DeviceLost() if LOST_WORD in request.prompt else None


@dataclass(eq=False)
class _Job:
    request: Txt2Img
    adults: bool = False
    ticket: JobTicket = field(init=False)
    submitted: float = field(default_factory=time.monotonic)
    cancelled: bool = False

    @property
    def steps(self) -> int:
        return (self.request.num_inference_steps or 1) * self.request.draws


class FakeEngine:
    """Implements `engine.Backend`.

    Args:
        models: what `models()` answers; the first is the default.
        step_s: seconds a step takes. max_queue: jobs that may wait.
        fail: asked once a job, before its last image; the error it returns ends the job.
        abilities: what it can do besides painting. gate: see `engine.Engine`.
        left_out: what it says of files that it never had. spares_adults: what adults alone see isn't judged.
    """

    def __init__(
        self,
        models: Sequence[ModelInfo] = (MINI,),
        *,
        step_s: float = 0.0,
        max_queue: int = 1000,
        fail: Callable[[Txt2Img], EngineError | None] = fail_by_prompt,
        abilities: frozenset[Ability] = ABILITIES,
        gate: ImageGate | None = None,
        left_out: Sequence[LeftOut] = (),
        spares_adults: bool = False,
    ) -> None:
        self._models = tuple(replace(info, ranks=info.ranks and "rank" in abilities) for info in models)
        self._abilities, self._gate, self._left_out = abilities, gate, tuple(left_out)
        self._spares_adults = spares_adults
        self.step_s, self.max_queue, self.fail = step_s, max_queue, fail
        self._waiting: deque[_Job] = deque()
        self._running: _Job | None = None
        self._closed = False
        self._rounds = 1
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

    def left_out(self) -> tuple[LeftOut, ...]:
        return self._left_out

    def abilities(self) -> frozenset[Ability]:
        return self._abilities

    async def describe(self, image: Image.Image) -> list[str]:
        if "describe" not in self._abilities:
            raise InvalidRequest(*NO_CAPTIONER)
        colour = colour_of(image)
        return [f"a {colour} {thing}" for thing in ("circle", "balloon", "apple", "boat")]

    async def weigh(self, prompt: str, model: str) -> list[tuple[str, float]]:
        """Long words matter."""
        if "rank" not in self._abilities:
            raise InvalidRequest(*NO_RANKER)
        words = prompt.split()
        longest = max(map(len, words), default=1)
        return [(word, round(len(word) / longest, 4)) for word in words]

    async def rewrite(self, text: str, aim: Aim) -> str:
        """The aim behind the words."""
        if "rewrite" not in self._abilities:
            raise InvalidRequest(*NO_HELPER)
        return f"{text}, {aim}"

    async def segment(self, image: Image.Image, what: str) -> Image.Image:
        if "segment" not in self._abilities:
            raise InvalidRequest(*NO_SEGMENTER)
        return shape_of(image)

    async def check(self, image: Image.Image, *, adults: bool = False) -> Verdict:
        return self._judge(image, flagged=image.convert("RGB").getpixel((0, 0)) == FLAG_COLOUR, adults=adults)

    def _judge(self, image: Image.Image, *, flagged: bool, adults: bool) -> Verdict:
        if "safety" in self._abilities and flagged and not (adults and self._spares_adults):
            return Verdict(flagged=True, reason="the fake does not like it")
        return picture_safety.ask(self._gate, image)

    def status(self) -> EngineStatus:
        running, facts = int(self._running is not None), {"rounds": self._rounds}
        loaded = tuple(info.key for info in self._models)
        return EngineStatus(queued=len(self._waiting), running=running, loaded=loaded, facts=facts)

    def submit(
        self, request: Txt2Img, *, user: str = "", weight: float = 1.0, lane: str = "fast", adults: bool = False
    ) -> JobTicket:
        if self._closed:
            raise EngineClosed()
        if len(self._waiting) >= self.max_queue:
            raise QueueFull(retry_after_s=max(1.0, len(self._waiting) * self.step_s))
        job = _Job(resolve.complete(request, resolve.find(self._models, request.model)), adults)
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
        drawn: list[ImageReady] = []
        for index in range(job.request.draws):
            ready = await self._image(job, index)
            if ready is None:
                return
            drawn.append(ready)
            if not job.request.best_of:
                job.ticket.publish(ready)
        for ready in best(drawn, job.request.num_images) if job.request.best_of else ():
            job.ticket.publish(ready)
        job.ticket.publish(Finished(wait_s=wait_s, run_s=time.monotonic() - started))

    async def _image(self, job: _Job, index: int) -> ImageReady | None:
        """Paint one picture; None when that ended the job."""
        request = job.request
        seed, steps = resolve.image_seed(request, index), request.num_inference_steps or 1
        info = resolve.find(self._models, request.model)
        image = request.unpainted() or _painted(request, info, seed)
        verdict = self._judge(image, flagged=FLAG_WORD in request.prompt, adults=job.adults)
        for step in range(1, steps + 1):
            await asyncio.sleep(self.step_s)
            self._rounds += 1
            if job.cancelled:
                job.ticket.publish(Cancelled())
                return None
            job.ticket.publish(Progress(step=index * steps + step, steps=job.steps))
            if step % PREVIEW_EVERY == 0:
                job.ticket.publish(_preview(index, image, verdict))
        error = self.fail(request) if index == request.draws - 1 else None
        if error is not None:
            job.ticket.publish(Failed(error=error))
            return None
        recipe, reason = recipe_of(request, index), verdict.reason
        return ImageReady(index=index, image=image, seed=seed, recipe=recipe, flagged=verdict.flagged, reason=reason)


def _preview(index: int, image: Image.Image, verdict: Verdict) -> Preview:
    small = image.resize((32, 32))
    return Preview(
        index=index, image=picture_safety.blurred(small) if verdict.flagged else small, flagged=verdict.flagged
    )


def score(seed: int) -> float:
    """How well the picture of a seed matches any prompt."""
    return random.Random(f"match {seed}").random()


def best(drawn: Sequence[ImageReady], count: int) -> Iterator[ImageReady]:
    """The best of what was drawn, the best first, numbered anew; flagged ones only when nothing else is left."""
    ranked = sorted(drawn, key=lambda ready: (ready.flagged, -score(ready.seed)))
    for index, ready in enumerate(ranked[:count]):
        yield replace(ready, index=index)


def colour_of(image: Image.Image) -> str:
    """The name of the colour most like a picture's mean."""
    mean = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(mean, tuple)
    return min(COLOURS, key=lambda name: sum((a - b) ** 2 for a, b in zip(COLOURS[name], mean, strict=True)))


def shape_of(image: Image.Image) -> Image.Image:
    """A mask of whatever differs from the colour of the first pixel. Raises: InvalidRequest when nothing does."""
    picture = image.convert("RGB")
    ground = Image.new("RGB", picture.size, picture.getpixel((0, 0)))
    mask = ImageChops.difference(picture, ground).convert("L").point(lambda value: 255 if value > SAME else 0)
    if mask.getbbox() is None:
        raise InvalidRequest(*NOTHING_THERE)
    return mask


def recipe_of(request: Txt2Img, index: int) -> Recipe:
    """The recipe of a fake picture."""
    return Recipe(
        task=request.task,
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
