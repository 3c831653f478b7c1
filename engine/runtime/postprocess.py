"""postprocess: what becomes of a call's result: the pipeline's next call, progress, pictures, the end of its job."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from greenlet import GreenletExit

from engine.api.errors import EngineError
from engine.api.events import Cancelled, Failed, Finished
from engine.api.recipe import Recipe
from engine.device import devices
from engine.device.failures import attempt, failure, forget
from engine.device.fibers import Kind
from engine.device.loader import Load, NotYet
from engine.diffusion.preview import Throttle
from engine.runtime import judging
from engine.runtime.job_queue import JobQueue
from engine.runtime.jobs import ImageRun, Job, paced_as
from engine.runtime.policy import StepTimes
from engine.runtime.run import Outcome
from engine.runtime.schedule import Batch
from engine.tasks import resolve
from engine.vision.vision_models import VisionModels

log = logging.getLogger(__name__)
FIRST_PREVIEW = 5  # not in the first fifth of the calls: there is nothing but noise


class Postprocess:
    """Carries the images of the queue's jobs from call to call, and ends their jobs.

    Args:
        step_times: learns how long steps take. facts: what every recipe of this engine says.
    """

    def __init__(self, queue: JobQueue, step_times: StepTimes, vision: VisionModels, facts: Mapping[str, Any]) -> None:
        self._queue, self._step_times, self._vision, self._facts = queue, step_times, vision, facts
        self._throttle = Throttle()
        self._unsigned: list[_Unsigned] = []

    def attempt(self, job: Job, work: Callable[[], None]) -> None:
        """Do something for a job; whatever it raises is that one job's failure. Raises: the device's own errors."""
        raised = attempt(work)
        if isinstance(raised, Exception):
            self.end(job, Failed(error=failure(raised, f"job {job.number} failed")))

    # ------------------------------------------------------------------ calls
    def begin(self, batch: Batch) -> None:
        """The batch is about to run."""
        for image in batch.images:
            if image.call.kind == "denoise" and not image.calls:
                self.attempt(image.job, partial(_first_step, image))

    def take(self, outcome: Outcome) -> None:
        """A call has run: tell of it, and let its pipeline go on."""
        job = outcome.image.job
        if not job.ended:  # by another of its images
            self.attempt(job, partial(self._take, outcome))

    def _take(self, outcome: Outcome) -> None:
        image, call = outcome.image, outcome.image.call
        if outcome.error is not None:
            return self.advance(image, error=outcome.error)
        if call.kind == "encode":
            image.model.encoders.put(call, outcome.result)
        elif call.kind == "denoise":
            image.calls, image.rows = image.calls + 1, outcome.rows
            self._ask_for_preview(image)
        self.advance(image, outcome.result)

    def advance(self, image: ImageRun, value: Any = None, error: Exception | None = None) -> None:
        """Run the image's pipeline to its next call, or to its end. Raises: whatever the pipeline does."""
        image.call = None
        result = image.fiber.throw(error) if error else image.fiber.advance(value)
        self._tell_steps(image)
        if image.fiber.dead:
            self._finish(image, result)
        else:
            image.call = result

    def account(self, image: ImageRun, kind: Kind, seconds: float) -> None:
        """Charge the user for an image's part of a call, and learn how long steps take."""
        if not image.job.ended:
            self._queue.charge(image.job, seconds)
        if kind in ("control", "denoise"):
            image.step_s += seconds

    def _ask_for_preview(self, image: ImageRun) -> None:
        """Have the step that this call belongs to tell what it makes of the picture, where that is worth seeing."""
        job, watch = image.job, image.watch
        worth_seeing = job.calls_each / FIRST_PREVIEW <= image.steps + 1 < job.calls_each
        if watch is not None and worth_seeing and image.model.root.previews:
            watch.wanted = self._throttle.open()

    def _tell_steps(self, image: ImageRun) -> None:
        """Tell of the steps that were made since, and show what the last one made of the picture."""
        job, made = image.job, image.steps_made - image.steps
        if made:
            if image.step_s and not (job.request.tiling or job.request.uses_upscaler):  # a card may tell later
                self._step_times.observe(paced_as(job.request, job.info), job.pixels, image.step_s / made)
            image.steps, image.step_s = image.steps + made, 0.0
            job.calls_done += made
            job.tell_progress()
        if image.watch is not None and image.watch.clean is not None:
            started = time.perf_counter()
            raised = attempt(lambda: self._preview(image))
            if isinstance(raised, Exception) and devices.is_out_of_memory(raised):
                forget(raised)  # there may be room for the next
            elif isinstance(raised, Exception):  # a picture can be painted though nobody knows how to show it before
                log.warning("%s has no previews", image.model.key, exc_info=raised)
                image.model.root.previews = False
            image.watch.clean = None
            self._throttle.spent(time.perf_counter() - started, alone=len(self._queue) == 1)

    def _preview(self, image: ImageRun) -> None:
        """Show what the last step made of it. Raises: whatever a family without previews does."""
        clean = image.watch.clean
        if isinstance(clean, Exception):
            raise clean
        picture = image.model.previewer.paint(clean, image.job.size)
        image.job.post(judging.preview(self._vision, image.job, image.index, picture))

    # ------------------------------------------------------------------ pictures
    def sign(self, load: Load, error: EngineError | None) -> None:
        """A load has ended: hand out the pictures that waited for it, or fail their jobs."""
        waited = [each for each in self._unsigned if each.awaits is load]
        self._unsigned = [each for each in self._unsigned if each.awaits is not load]
        for each in waited:
            job = each.image.job
            if error is not None:
                self.end(job, Failed(error=error))
            elif not job.ended:
                self.attempt(job, partial(self._finish, each.image, each.picture))

    def _finish(self, image: ImageRun, picture: Any) -> None:
        job = image.job
        try:
            image.model.hashed()
        except NotYet as wait:
            self._unsigned.append(_Unsigned(image, picture, wait.load))
            return
        whole = job.collect(image, picture)
        if whole is not None:
            job.tell_started()  # where nothing had to be painted
            self._ready(image, whole)
        image.leave()
        if all(each.done for each in job.images):
            self._conclude(job)

    def _ready(self, image: ImageRun, picture: Any) -> None:
        """Tell of a finished picture, or keep it until the best are chosen."""
        job = image.job
        recipe = self._recipe(image, resolve.image_seed(job.request, image.index))
        ready = judging.finished(self._vision, job, image.index, picture, recipe)
        if job.request.best_of:
            job.drawn.append(ready)
        else:
            job.post(ready)

    def _conclude(self, job: Job) -> None:
        started = job.started or job.submitted
        for ready in judging.best(self._vision, job) if job.drawn else ():
            job.post(ready)
        self.end(job, Finished(wait_s=started - job.submitted, run_s=time.perf_counter() - started))

    def _recipe(self, image: ImageRun, seed: int) -> Recipe:
        request, info = image.job.request, image.job.info
        return Recipe(
            task=request.task,
            request=resolve.to_json(request),
            index=image.index,
            seed=seed,
            model=info.upscaler.name if request.uses_upscaler else info.key,
            model_sha256=image.model.hashed(),
            rows=image.rows,
            adapters=image.model.adapters,
            model_revision=image.model.info.revision,
            memory=image.model.root.placing.rung.name,
            compiled=image.model.placing.compiled,
            **self._facts,
        )

    # ------------------------------------------------------------------ ends
    def end(self, job: Job, event: Finished | Failed | Cancelled) -> None:
        """End a job, unless it has ended."""
        if job.ended:
            return
        self._queue.leave(job)
        for image in job.images:
            unwind(image)
        job.let_go()
        self._queue.try_again()
        job.end(event)

    def fail_all(self, error: EngineError) -> None:
        """End every job that is open."""
        for job in list(self._queue.jobs):
            self.end(job, Failed(error=error))


@dataclass(frozen=True, slots=True)
class _Unsigned:
    """A picture that is painted, but for whose recipe the hash of the weights isn't known yet."""

    image: ImageRun
    picture: Any
    awaits: Load


def unwind(image: ImageRun) -> None:
    """Leave a pipeline in its middle, which can only be done in the thread it was begun in."""
    if image.fiber and not image.fiber.dead:
        raised = attempt(partial(image.fiber.throw, GreenletExit))
        if isinstance(raised, Exception):
            log.warning("a pipeline could not be left in peace", exc_info=raised)
    image.leave()


def _first_step(image: ImageRun) -> None:
    job = image.job
    job.tell_started()
    job.calls_each = getattr(image.pipe, "_num_timesteps", None) or job.calls_each
