"""The engine's thread: take in commands, then schedule, run, postprocess. The only place where models run.

What must be downloaded or loaded is left to the `Loader`'s threads; jobs and questions that need it are put aside.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, get_args

import torch

from engine.api.errors import DeviceLost, EngineClosed, EngineError, EngineFault, InvalidSetup, first_line
from engine.api.events import Cancelled, Failed
from engine.api.inspection import Forwards, Inspection
from engine.device import devices, heap
from engine.device.compiler import Compiler
from engine.device.exclusive import exclusive
from engine.device.failures import attempt, failure
from engine.device.fibers import Kind
from engine.device.loader import Load, Loader, NoRoom, NotYet
from engine.device.memory import DeviceMemory
from engine.models.files.hashes import Hashes
from engine.models.model_cache import MIB, Model, ModelCache
from engine.runtime import image_setup
from engine.runtime.batch_sizes import BatchSizes, pinned_sizes
from engine.runtime.commands import Command, Post
from engine.runtime.job_queue import JobQueue
from engine.runtime.jobs import ImageRun, Job
from engine.runtime.options import Files, Options
from engine.runtime.policy import StepTimes
from engine.runtime.postprocess import Postprocess
from engine.runtime.run import Runner
from engine.runtime.schedule import Schedule
from engine.tasks import resolve
from engine.vision.vision_models import VisionModels

log = logging.getLogger(__name__)
T = TypeVar("T")
REST_S = 10.0  # with nothing to do, before memory that was kept for the next picture is given back


class Worker:
    """Everything the thread owns; does the `Commands`. `commands` is the only way in, each `post` the only way out."""

    def __init__(self, options: Options, commands: queue.SimpleQueue[Command], step_times: StepTimes) -> None:
        self._options, self._commands, self._step_times = options, commands, step_times
        self.facts: dict[str, Any] = {}
        self.loaded: tuple[str, ...] = ()
        self.kept: dict[str, str] = {}
        self.running = self.rounds = 0
        self.stopped: EngineError | None = None
        self._asking: list[Post[Any]] = []
        self._aside: list[_Question] = []
        self._stalled = False
        self._queue = JobQueue(step_times)
        self._deadline: float | None = None

    @property
    def memory_bytes(self) -> int:
        """The device's memory that is held; any thread may ask."""
        return devices.held_bytes(torch.device(self.facts["device"])) if "device" in self.facts else 0

    @property
    def free_bytes(self) -> int:
        """The device's memory that nobody uses; any thread may ask."""
        return DeviceMemory.named(self.facts["device"]).free_bytes() if "device" in self.facts else 0

    # ------------------------------------------------------------------ life
    def run(self) -> None:
        """Serve until closed. `stopped` is set when something ends it before that."""
        prepared = False
        try:
            with torch.no_grad():
                self._prepare()
                prepared = True
                while self._round():
                    pass
            self._post.fail_all(EngineClosed())
            self._loader.close()
            self._cache.clear()
            self.loaded = ()
        except Exception as error:  # the thread's outermost edge: a set-up that cannot be, or the device is gone
            log.exception("the engine stopped")
            self._stop(error, prepared=prepared)

    def _prepare(self) -> None:
        options = self._options
        device = devices.choose_device(options.device)
        dtype = devices.choose_dtype(options.dtype, device)
        threads = devices.set_threads(options.threads)
        torch.backends.cudnn.deterministic = options.mode == "exact"
        self.facts.update(device=str(device), dtype=str(dtype).removeprefix("torch."), threads=threads)
        self._loader = Loader(self._run_here, self._tell_load, self._end_load)
        budget, hashes = int(options.memory_mib * MIB), Hashes(options.data_dir)
        memory, compiler = DeviceMemory(device), Compiler(device=device, exact=options.mode == "exact")
        self._cache = ModelCache(
            *(options.files.loadable(), memory, dtype, budget, self._loader, hashes),
            compiler=compiler if options.compiled else None,
        )
        self._vision = VisionModels(options.files.sight, options.files.sources, device, self._loader)
        sizes = self._sizes = BatchSizes(options.mode, options.max_rows, device, pinned_sizes(options.data_dir))
        joins = options.mode == "fast" or devices.gains_from_rows(device)
        self._schedule = Schedule(self._queue, sizes, self._start, joins=joins, max_rows=options.max_rows)
        self._post = Postprocess(self._queue, self._step_times, self._vision, self._recipe_facts(device))
        self._runner = Runner(device, sizes, self._cache, self._post.account)
        self.kept = self._cache.kept()
        heap.spare_libraries()
        if device.type == "cpu":
            heap.keep()
        self._warm_up()

    def _recipe_facts(self, device: torch.device) -> dict[str, Any]:
        versions = {**resolve.versions(), "threads": str(self.facts["threads"])}
        if device.type == "cuda":  # another card rounds in another way
            versions["card"] = torch.cuda.get_device_name(device)
        return {
            "mode": self._options.mode,
            "dtype": self.facts["dtype"],
            "device": device.type,
            "versions": versions,
        }

    def _warm_up(self) -> None:
        """Have the judge and the default model loaded before somebody asks for them."""
        attempt(self._vision.ready)
        attempt(lambda: self._cache.get(next(iter(self._options.files.sources)), time.perf_counter()))

    def _stop(self, error: Exception, *, prepared: bool) -> None:
        """Nothing can be painted any more: end what was asked for."""
        self.stopped = told = error if isinstance(error, EngineError) else _as_told(error, prepared=prepared)
        self.running, self.loaded = 0, ()
        for job in self._queue.jobs:
            job.end(Failed(error=told))
        for post in self._asking:
            post(told)

    # ------------------------------------------------------------------ commands
    def _drain(self) -> bool:
        """Take in every command; wait for one when idle. False when it is time to end."""
        while True:
            try:
                command = self._next_command()
            except queue.Empty:
                break
            with exclusive.step():
                command(self)
            del command  # it may hold a model, and the next may be long in coming
            self._queue.disturb()
            self._stalled = False
        if self._deadline is None:
            return True
        return bool(self._queue) and time.perf_counter() < self._deadline

    def _next_command(self) -> Command:
        """Raises: queue.Empty, when there is something else to do."""
        patience_s = self._patience_s()
        if patience_s is None:
            with suppress(queue.Empty):
                return self._commands.get(timeout=REST_S)
            self._cache.memory.rest()
        return self._commands.get(block=patience_s != 0, timeout=patience_s)

    def _patience_s(self) -> float | None:
        """How long to wait for a command; None = however long it takes, for there is nothing else to do."""
        if self._deadline is None:
            return 0 if self._queue and not self._stalled else None
        return max(0.0, self._deadline - time.perf_counter()) if self._queue and self._stalled else 0

    def submit(self, job: Job) -> None:
        self._queue.enter(job)

    def cancel(self, job: Job) -> None:
        self._post.end(job, Cancelled())

    def look(self, question: Callable[[VisionModels], T], post: Post[T]) -> None:
        self._asking.append(post)
        self._answer(_Question(question, post))

    def _answer(self, asked: _Question) -> None:
        answer = attempt(lambda: asked.question(self._vision))
        if isinstance(answer, NotYet):
            asked.awaits = answer.load
            self._aside.append(asked)
            return
        self._asking.remove(asked.post)
        asked.post(failure(answer, "a picture could not be looked at") if isinstance(answer, Exception) else answer)

    def inspect(self, post: Post[Inspection]) -> None:
        forwards = {kind: self._runner.forwards.get(kind, Forwards()) for kind in get_args(Kind)}
        post(Inspection(models=self._cache.inspect(), forwards=forwards))

    def use(self, files: Files) -> None:
        self._options = replace(self._options, files=files)
        self._cache.use(files.loadable())
        told = attempt(self._cache.kept)  # files come and go while they are looked at
        if isinstance(told, Exception):
            log.warning("how models are kept can't be told yet", exc_info=told)
        else:
            self.kept = told

    def close(self, grace_s: float) -> None:
        self._deadline = time.perf_counter() + grace_s

    # ------------------------------------------------------------------ loads
    def _run_here(self, work: Callable[[], None]) -> None:
        """From any thread: run that in this one, unless it has stopped."""
        self._commands.put(lambda _: work() if self.stopped is None else None)

    def _waiting(self, load: Load) -> list[Job]:
        return [job for job in self._queue.jobs if job.awaits is load]

    def _tell_load(self, load: Load) -> None:
        for job in self._waiting(load):
            job.tell_loading()

    def _end_load(self, load: Load, error: Exception | None) -> None:
        """It is there, or cannot be: those who wait go on, or are told why not; whoever comes later tries again."""
        if error is not None and devices.is_device_error(error):
            raise error
        self.loaded, self.kept = self._cache.loaded, self._cache.kept()
        self._queue.try_again()
        told = None if error is None else failure(error, f"{load.name} could not be loaded")
        if told is not None:
            log.warning("%s", told)
        for job in self._waiting(load):
            job.awaits = None
            if told is not None:
                self._post.end(job, Failed(error=told))
            elif load.kept is not None:
                job.hold(load.kept)
        self._post.sign(load, told)
        asked = [each for each in self._aside if each.awaits is load]
        self._aside = [each for each in self._aside if each.awaits is not load]
        for each in asked:
            self._answer(each if told is None else _Question(_raises(told), each.post))

    # ------------------------------------------------------------------ one round
    def _round(self) -> bool:
        """One round. False when it is time to end."""
        self.rounds += 1
        if not self._drain():
            return False
        with exclusive.step():
            raised = attempt(self._tick)
        self.loaded = self._cache.loaded
        if isinstance(raised, Exception):  # nobody's job is to blame, so all are asked to come again
            log.error("the engine made a mistake", exc_info=raised)
            self._post.fail_all(EngineFault(reason=first_line(raised)))
        return True

    def _tick(self) -> None:
        batch = self._schedule.next()
        self.running = self._queue.running
        if batch is None:
            self._stalled = bool(self._loader.pending)
            return
        self._post.begin(batch)
        for outcome in self._runner.run(batch):
            self._post.take(outcome)

    def _start(self, image: ImageRun) -> None:
        self._post.attempt(image.job, partial(self._begin, image))

    def _begin(self, image: ImageRun) -> None:
        """Lease the model, set up the pipeline, and run it to its first call; or wait for what it needs."""
        try:
            model = self._model_for(image.job)
        except NotYet as wait:
            image.job.await_load(wait.load)
            return
        except NoRoom:
            image.job.needs_room = True
            image.job.let_go()  # or two jobs could wait for each other's models
            return
        self._begin_on(model, image)

    def _model_for(self, job: Job) -> Model:
        """The model that runs it, with all that judges its pictures at hand. Raises: NotYet, EngineError."""
        self._vision.ready()
        if job.request.best_of:
            self._vision.ready_to_rank(job.info.key)
        self._vision.ready_to_draw(guide.controlnet for guide in job.request.guides if not guide.prepared)
        files, now = self._options.files, time.perf_counter()
        model = image_setup.model_for(job.request, job.info, self._cache, files, now)
        if self._sizes.pinned:
            model.hashed()
        return model

    def _begin_on(self, model: Model, image: ImageRun) -> None:
        job, image.model = image.job, model
        model.lease()
        job.hold(model)
        place, files = (image.index, image.part), self._options.files
        begun = image_setup.begin(job.request, *place, model, job.info, files, self._vision.draw)
        image.pipe, image.fiber, image.watch = begun
        self._post.advance(image)


@dataclass(eq=False)
class _Question:
    """A question about a picture. `awaits`: the load that it was put aside for."""

    question: Callable[[VisionModels], Any]
    post: Post[Any]
    awaits: Load | None = None


def _raises(error: EngineError) -> Callable[[VisionModels], Any]:
    def question(_: VisionModels) -> Any:
        raise error

    return question


def _as_told(error: Exception, *, prepared: bool) -> EngineError:
    if not prepared:
        return InvalidSetup(reason=first_line(error))
    return DeviceLost() if devices.is_device_error(error) else EngineFault(reason=first_line(error))
