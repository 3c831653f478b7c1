"""The engine thread: drain commands, admit, pick, forward, resume, emit. The only place where models run."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from greenlet import GreenletExit

from engine.api.errors import DeviceLost, EngineClosed, EngineError, OutOfMemory
from engine.api.events import Cancelled, Failed, Finished, Started
from engine.api.recipe import Recipe
from engine.device import devices
from engine.device.failures import failure
from engine.device.fibers import Call
from engine.diffusion.preview import Throttle
from engine.models.model_cache import MIB, ModelCache
from engine.runtime import batching, judging
from engine.runtime import image_setup as paintings
from engine.runtime.batch_sizes import BatchSizes, PinnedSizes
from engine.runtime.job_queue import JobQueue
from engine.runtime.jobs import ImageRun, Job, paced_as
from engine.runtime.options import Options
from engine.runtime.policy import StepTimes
from engine.tasks import resolve
from engine.vision.vision_models import VisionModels

log = logging.getLogger(__name__)

FIRST_PREVIEW = 5  # not in the first fifth of the calls: there is nothing but noise


T = TypeVar("T")
Command = Callable[["Worker"], None]


class Worker:
    """Everything the thread owns. `commands` is the only way in, each job's `post` the only way out."""

    def __init__(self, options: Options, commands: queue.SimpleQueue[Command], pace: StepTimes) -> None:
        self._options, self._commands, self.pace = options, commands, pace
        self.facts: dict[str, Any] = {}
        self.loaded: tuple[str, ...] = ()
        self.running = 0
        self._lineup = JobQueue(pace)
        self._deadline: float | None = None
        self._throttle = Throttle()

    # ------------------------------------------------------------------ life
    def run(self) -> None:
        """Serve until closed. The thread's outermost edge: whatever escapes is a lost device."""
        try:
            with torch.no_grad():
                self._prepare()
                while self._drain():
                    self._tick()
            self._fail_all(EngineClosed())
            self._residency.clear()
            self.loaded = ()
        except Exception:
            log.exception("the engine stopped")
            self.facts["lost"] = True
            self._drain_rest()
            self._fail_all(DeviceLost())

    def _prepare(self) -> None:
        options = self._options
        self._device = devices.choose_device(options.device)
        self._dtype = devices.choose_dtype(options.dtype, self._device)
        threads = devices.set_threads(options.threads)
        torch.backends.cudnn.deterministic = options.mode == "exact"
        self._residency = ModelCache(options.sources, self._device, self._dtype, options.memory_mib * MIB)
        self._rows = BatchSizes(options.mode, options.max_rows, self._device, PinnedSizes(options.data_dir))
        self._batching = options.mode == "fast" or self._device.type != "cpu"
        self._eyes = VisionModels(
            options.sight, {key: source for key, (source, _) in options.sources.items()}, self._device
        )
        self._versions = {**resolve.versions(), "threads": str(threads)}
        self.facts.update(device=str(self._device), dtype=str(self._dtype).removeprefix("torch."), threads=threads)
        self._warm_up()

    def _warm_up(self) -> None:
        try:
            self._eyes.ready()
            self._residency.get(next(iter(self._options.sources)), time.perf_counter())
        except EngineError as error:
            log.warning("%s", error)  # the first job that needs it is told
        self.loaded = self._residency.loaded

    def _drain(self) -> bool:
        """Take in every command; wait for one when idle. False when it is time to end."""
        while True:
            idle = not self._lineup and self._deadline is None
            try:
                command = self._commands.get(block=idle)
            except queue.Empty:
                break
            command(self)
            self._lineup.disturb()
        if self._deadline is None:
            return True
        return bool(self._lineup) and time.perf_counter() < self._deadline

    def submit(self, job: Job) -> None:
        """Command: serve this job."""
        self._lineup.enter(job)

    def cancel(self, job: Job) -> None:
        """Command: stop this job, unless it has ended."""
        self._end(job, Cancelled())

    def look(self, question: Callable[[VisionModels], T], post: Callable[[T | EngineError], None]) -> None:
        """Command: answer a question about a picture. An edge like a pipeline's: no question may end the engine."""
        try:
            post(question(self._eyes))
        except Exception as error:
            if devices.is_device_error(error):
                post(DeviceLost())
            post(failure(error, "a picture could not be looked at"))

    def close(self, grace_s: float) -> None:
        """Command: end when everything is done, at the latest after `grace_s`."""
        self._deadline = time.perf_counter() + grace_s

    def _drain_rest(self) -> None:
        while not self._commands.empty():
            self._commands.get()(self)

    def _fail_all(self, error: EngineError) -> None:
        for job in self._lineup.jobs:
            job.ended = True
            self._unwind(job)
            job.post(Failed(error=error))
        self._lineup.jobs.clear()
        self.running = 0

    # ------------------------------------------------------------------ one round
    def _tick(self) -> None:
        order = self._lineup.ranked()
        self.running = self._lineup.running
        lead = self._lead(order)
        if lead is None:
            return
        group, pad_to = self._group(lead, order)
        self._run(group, pad_to)

    def _lead(self, order: list[Job]) -> ImageRun | None:
        """The image whose call is next: one that only needs finishing or admitting, else the first in order."""
        if self._batching:
            self._start_many(order)
            parked = [p for job in order for p in job.paintings if p.call is not None]
            return next((p for p in parked if p.call.kind != "denoise"), parked[0] if parked else None)
        return self._first(order)

    def _first(self, order: list[Job]) -> ImageRun | None:
        for job in order:
            for painting in job.paintings:
                if painting.fiber is None and not painting.done and not job.ended:
                    self._start(painting)
                if painting.call is not None:
                    return painting
        return None

    def _start_many(self, order: list[Job]) -> None:
        """Have about two calls' worth of rows ready, and always the first job."""
        live = 0
        for job in list(order):
            for painting in job.paintings:
                if live >= 2 * self._options.max_rows or job.ended:
                    return
                if painting.fiber is None and not painting.done:
                    self._start(painting)
                live += painting.call is not None

    def _group(self, lead: ImageRun, order: list[Job]) -> tuple[list[ImageRun], int]:
        call: Call = lead.call
        if call.kind == "encode" or call.strange:
            return [lead], 0
        cap, pad_to = self._rows.of(call, lead.model.sha256)
        if cap <= call.rows:
            return [lead], pad_to
        parked = (p for job in order for p in job.paintings if p.call is not None)
        return batching.select_batch(lead, parked, cap), pad_to

    # ------------------------------------------------------------------ fibers
    def _start(self, painting: ImageRun) -> None:
        job = painting.job
        try:
            self._eyes.ready()
            model = paintings.model_for(job.request, job.info, self._residency, self._options, time.perf_counter())
        except EngineError as error:
            return self._end(job, Failed(error=error))
        self.loaded = self._residency.loaded
        painting.model = model
        model.lease()
        self._residency.make_room()
        painting.pipe, painting.fiber = paintings.begin(job.request, painting.index, painting.part, model, job.info)
        self._resume(painting)

    def _resume(self, painting: ImageRun, value: Any = None, error: BaseException | None = None) -> None:
        """Run a fiber to its next call. The pipeline's edge: whatever it raises is that one job's failure."""
        painting.call = None
        try:
            result = painting.fiber.throw(error) if error else painting.fiber.advance(value)
        except Exception as raised:
            return self._end(painting.job, Failed(error=failure(raised, f"job {painting.job.number} failed")))
        if painting.fiber.dead:
            self._finish(painting, result)
        else:
            painting.call = result

    def _finish(self, painting: ImageRun, image: Any) -> None:
        job = painting.job
        image = job.collect(painting, image)
        if image is None:
            return self._release(painting)
        if job.started is None:  # nothing had to be painted
            job.started = time.perf_counter()
            job.post(Started())
        self._ready(painting, image)
        self._release(painting)
        if all(p.done for p in job.paintings):
            started = job.started or job.submitted
            if job.drawn:
                self._choose(job)
            self._end(job, Finished(wait_s=started - job.submitted, run_s=time.perf_counter() - started))

    def _ready(self, painting: ImageRun, image: Any) -> None:
        """Tell of a finished picture, or keep it until the best are chosen."""
        job = painting.job
        recipe = self._recipe(painting, resolve.image_seed(job.request, painting.index))
        ready = judging.finished(self._eyes, job, painting.index, image, recipe)
        if job.request.best_of:
            job.drawn.append(ready)
        else:
            job.post(ready)

    def _choose(self, job: Job) -> None:
        """Tell of the best pictures of a job that drew more than it keeps."""
        kept = judging.best(self._eyes, job)
        if isinstance(kept, EngineError):
            return self._end(job, Failed(error=kept))
        for ready in kept:
            job.post(ready)
        job.drawn.clear()

    def _end(self, job: Job, event: Finished | Failed | Cancelled) -> None:
        if job.ended:
            return
        job.ended = True
        self._lineup.leave(job)
        self._unwind(job)
        job.post(event)

    def _unwind(self, job: Job) -> None:
        """Leave the pipelines in the middle; a fiber can only be ended in its own thread."""
        for painting in job.paintings:
            if painting.fiber and not painting.fiber.dead:
                painting.fiber.throw(GreenletExit)
            self._release(painting)

    def _release(self, painting: ImageRun) -> None:
        if painting.model is not None:
            painting.model.release()
        painting.model, painting.pipe, painting.call = None, None, None
        painting.fiber = None  # a picture of 4096 px has a thousand of them

    def _recipe(self, painting: ImageRun, seed: int) -> Recipe:
        request, info = painting.job.request, painting.job.info
        return Recipe(
            task=request.task,
            request=resolve.to_json(request),
            index=painting.index,
            seed=seed,
            model=info.upscaler.name if request.uses_upscaler else info.key,
            model_sha256=painting.model.sha256,
            mode=self._options.mode,
            rows=painting.rows,
            dtype=self.facts["dtype"],
            device=self._device.type,
            versions=self._versions,
            adapters=painting.model.adapters,
        )

    # ------------------------------------------------------------------ forwards
    def _run(self, group: list[ImageRun], pad_to: int) -> None:
        call: Call = group[0].call
        for painting in group:
            self._mark_started(painting)
        started = time.perf_counter()
        try:
            results = batching.run([p.call for p in group], pad_to, self._device)
        except Exception as error:
            return self._bisect(group, pad_to) if devices.is_out_of_memory(error) else self._blame(group, error)
        seconds = time.perf_counter() - started
        self._account(group, max(pad_to, sum(p.call.rows for p in group)), seconds)
        for painting, result in zip(group, results, strict=True):
            if painting.job.ended:  # by another of its images in this group
                continue
            if call.kind == "encode":
                painting.model.encoders.put(call, result)
            elif call.kind == "denoise":
                self._step_done(painting, result)
            self._resume(painting, result)

    def _mark_started(self, painting: ImageRun) -> None:
        job = painting.job
        if job.started is None and painting.call.kind == "denoise":
            job.started = time.perf_counter()
            job.post(Started())
        if painting.calls == 0 and painting.call.kind == "denoise":
            job.calls_each = getattr(painting.pipe, "_num_timesteps", None) or job.calls_each

    def _account(self, group: list[ImageRun], rows: int, seconds: float) -> None:
        """Charge the users, and learn how long such calls take."""
        call: Call = group[0].call
        self._rows.observe(call, rows, seconds)
        for painting in group:
            job = painting.job
            self._lineup.charge(job, seconds / len(group))
            if call.kind == "control":
                painting.guided_s = seconds / len(group)
            elif call.kind == "denoise":
                painting.rows = rows
                if not (job.request.tiling or job.request.uses_upscaler):
                    step_s = seconds / len(group) + painting.guided_s
                    self.pace.observe(paced_as(job.request, job.info), job.pixels, step_s)

    def _step_done(self, painting: ImageRun, output: Any) -> None:
        job = painting.job
        painting.calls += 1
        job.calls_done += 1
        job.tell_progress()
        worth_seeing = job.calls_each / FIRST_PREVIEW <= painting.calls < job.calls_each
        if worth_seeing and not job.request.uses_upscaler and self._throttle.open():
            started = time.perf_counter()
            self._preview(painting, output)
            self._throttle.spent(time.perf_counter() - started, alone=len(self._lineup) == 1)

    def _preview(self, painting: ImageRun, output: Any) -> None:
        call, job = painting.call, painting.job
        t = call.time()
        result = output[0] if isinstance(output, tuple) else output.sample
        sample = call.sample[:, : result.shape[1]]  # inpainting models see mask and picture in further channels
        image = painting.model.previewer.paint(sample, t, result, job.request.guidance_scale or 1.0, job.size)
        job.post(judging.preview(self._eyes, painting.index, image))

    # ------------------------------------------------------------------ trouble
    def _bisect(self, group: list[ImageRun], pad_to: int) -> None:
        """Out of memory: half as many, and never that many again; an image that fits nowhere is its job's failure."""
        devices.free_cache(self._device)
        rows = max(pad_to, sum(p.call.rows for p in group))
        self._rows.lower(group[0].call, rows)
        if len(group) > 1:
            half = len(group) // 2
            self._run(group[:half], 0)
            return self._run(group[half:], 0)
        if pad_to > group[0].call.rows:
            return self._run(group, 0)
        self._last_resort(group[0])

    def _last_resort(self, painting: ImageRun) -> None:
        """Drop idle models, decode in tiles, then give up."""
        self._residency.evict_idle()
        devices.free_cache(self._device)
        call: Call = painting.call
        try:
            result = batching.run_small(call, self._device)
        except Exception as error:
            devices.free_cache(self._device)
            if devices.is_out_of_memory(error):
                return self._end(painting.job, Failed(error=OutOfMemory()))
            return self._blame([painting], error)
        if call.kind == "denoise":
            self._step_done(painting, result)
        self._resume(painting, result)

    def _blame(self, group: list[ImageRun], error: Exception) -> None:
        """A call failed: lose the device, or find the one job whose call it is."""
        if devices.is_device_error(error):
            raise error
        if len(group) == 1:
            return self._resume(group[0], error=error)
        for painting in group:
            self._run([painting], 0)
