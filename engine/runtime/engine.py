"""The engine as the event loop sees it: submit requests, read events. Starts the thread; knows no torch itself."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from PIL import Image

from engine.api import safety as picture_safety
from engine.api.errors import (
    EngineClosed,
    EngineError,
    EngineFault,
    InvalidSetup,
    QueueFull,
    first_line,
)
from engine.api.events import Event, Queued
from engine.api.inspection import Inspection
from engine.api.left_out import LeftOut
from engine.api.model_info import ModelInfo
from engine.api.rewriting import Aim
from engine.api.safety import Verdict
from engine.api.tickets import JobTicket
from engine.backend import Ability, EngineStatus
from engine.device import heap
from engine.models import catalog
from engine.models.files.library import Library
from engine.models.upscalers import known
from engine.runtime import policy
from engine.runtime.commands import Command, Post, Stopped
from engine.runtime.jobs import Job
from engine.runtime.options import Options, Reading
from engine.runtime.policy import StepTimes
from engine.tasks import resolve
from engine.tasks.txt2img import Txt2Img
from engine.vision import options as vision_options
from engine.vision.options import VisionOptions

if TYPE_CHECKING:
    from engine.runtime.worker import Worker
    from engine.vision.vision_models import VisionModels

T = TypeVar("T")
log = logging.getLogger(__name__)

LEAVE_S = 3.0  # a thread that is importing, loading or in a long step is left at the end, and dies with the process
EXIT_S = 30.0  # for a program that ends meanwhile, how long it waits for that thread: torch would abort it
MODES = ("exact", "fast")
DTYPES = ("auto", "float32", "bfloat16", "float16")
BUSY_RETRY_S = 30.0  # told when nothing was measured yet


class Engine:
    """Paints pictures in a thread of its own; implements `engine.Backend`.

    Args:
        model: the default model: `mini`, a diffusers folder, a hub id or a `.safetensors` file.
        models: more models by the name users type.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`. dtype: `auto`, `float32`, `bfloat16`, `float16`.
        mode: `exact` gives the same bytes for the same seed in any company; `fast` batches more, equal within rounding.
        threads: CPU threads; 0 = all cores but one, or what a process that already uses torch has chosen.
        max_rows: most rows of one call. memory_mib: for weights, 0 = most of what is free.
        compiled: have denoisers compiled; where that can't be, they run as they are.
        data_dir: keeps the row counts that `exact` mode has chosen, hashes, and models and LoRAs that need no setting
            (`engine.models.files.library`); what comes or goes there is seen without a restart.
        max_queue: jobs that may wait or run.
        sight: the models that look at pictures, and the gate that pictures must pass.
        upscaler: makes faithful upscales: whatever `engine.models.upscalers.known` knows; "" = Lanczos.
        loras: `.safetensors` files, or folders with one, by the name in `<lora:name:0.8>`.
        embeddings: textual inversions by the word that stands for them; files likewise.
        ip_adapters: by model: an IP-Adapter with its `image_encoder` folder beside it, for blends by image embeddings.
        controlnets: folders of ControlNets in diffusers' format, by name.

    What else cannot be used of these files is left out, and told by `left_out`.

    Raises: ModelUnloadable when the default model or the one that tells what is safe is none; InvalidSetup when a
    setting cannot be what it is. What only the thread can find out (a device that is not there) fails the jobs, and
    `status().facts["lost"]` tells it.
    """

    def __init__(
        self,
        model: str | Path = "mini",
        *,
        models: Mapping[str, str] | None = None,
        device: str = "auto",
        dtype: str = "auto",
        mode: Literal["exact", "fast"] = "exact",
        threads: int = 0,
        max_rows: int = 8,
        memory_mib: float = 0,
        compiled: bool = False,
        data_dir: str | Path | None = None,
        max_queue: int = 1000,
        sight: VisionOptions = VisionOptions(),  # noqa: B008
        upscaler: str = "",
        loras: Mapping[str, str] | None = None,
        embeddings: Mapping[str, str] | None = None,
        ip_adapters: Mapping[str, str] | None = None,
        controlnets: Mapping[str, str] | None = None,
    ) -> None:
        self._wanted: dict[str, Any] = {"models": models or {}, "loras": loras or {}, "embeddings": embeddings or {}}
        self._wanted |= {"ip_adapters": ip_adapters or {}, "controlnets": controlnets or {}}
        self._wanted |= {"model": str(model), "upscaler": known.chosen(upscaler, device), "sight": sight}
        self._library = Library(Path(data_dir)) if data_dir is not None else None
        self._read()
        _check_setup(mode=mode, dtype=dtype, threads=threads, max_rows=max_rows, memory_mib=memory_mib)
        self._settings: dict[str, Any] = {"device": device, "dtype": dtype, "mode": mode, "threads": threads}
        self._settings |= {"max_rows": max_rows, "memory_mib": memory_mib, "compiled": compiled}
        self._settings |= {"data_dir": Path(data_dir) if data_dir is not None else None}
        self._max_queue = max_queue
        self._numbers = itertools.count(1)
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._open: dict[int, JobTicket] = {}
        self._asked: set[asyncio.Future[Any]] = set()
        self._step_times = StepTimes()
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._unusable: EngineError | None = None
        self._reading: threading.Thread | None = None

    def _read(self) -> None:
        """Look at all files. Raises: ModelUnloadable."""
        self._stamp = self._library.stamp() if self._library is not None else ()
        reading, wanted = Reading(), dict(self._wanted)
        if self._library is not None:
            wanted["models"] = self._library.models() | wanted["models"]
            wanted["loras"] = self._library.loras() | wanted["loras"]
        files = reading.files(**wanted)
        if reading.vital:
            raise reading.vital[0]
        self._models = tuple(files.describe(source) for source in files.sources.values())
        self._left_out = (*reading.left_out, *files.strays(self._models))
        self._undescribed = {key for key, source in files.sources.items() if not catalog.is_described(source)}
        self._files = files

    def _notice(self) -> None:
        """Have files that came or went looked at, beside the event loop."""
        if self._library is None or self._reading is not None or self._library.stamp() == self._stamp:
            return
        self._reading = threading.Thread(target=self._read_again, name="files", daemon=True)
        self._reading.start()

    def _read_again(self) -> None:
        try:
            self._read()
            self._commands.put(lambda worker: worker.use(self._files))
        except Exception:  # an outer edge: whatever is wrong with new files, what was known before goes on
            log.exception("new files could not be looked at")
        finally:
            self._reading = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.close()

    async def start(self) -> None:
        if self._closed:
            raise EngineClosed()
        if self._thread is None:
            for each in self._left_out:
                log.warning("%s", each)
            heap.share()
            self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        """The thread: paint until closed; when that cannot be, say so to whoever asks."""
        from engine.device import before_torch  # noqa: F401

        try:
            with heap.seldom_collected():
                from engine.runtime.worker import Worker  # loads torch, in the thread
        except ImportError as error:
            log.exception("the engine's libraries cannot be loaded")
            reason = f"its libraries can't be loaded ({first_line(error)}); install Easel again"
            self._unusable = InvalidSetup(reason=reason)
        else:
            self._worker = Worker(Options(files=self._files, **self._settings), self._commands, self._step_times)
            self._worker.run()
        if self._stopped is not None:
            Stopped(self._stopped).serve(self._commands)

    @property
    def _stopped(self) -> EngineError | None:
        """Why nothing can be painted any more."""
        if self._thread is not None and not self._thread.is_alive():
            return EngineFault(reason="its thread has ended")
        return self._worker.stopped if self._worker is not None else self._unusable

    async def close(self, grace_s: float = 0.0) -> None:
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            self._commands.put(lambda worker: worker.close(grace_s))
            await asyncio.to_thread(thread.join, grace_s + LEAVE_S)
            if thread.is_alive():
                atexit.register(thread.join, EXIT_S)
            await asyncio.sleep(0)  # the last events were posted before the thread ended
        self._fail_open()

    def _fail_open(self) -> None:
        for ticket in list(self._open.values()):
            ticket.fail(EngineClosed())
        self._open.clear()
        for asked in list(self._asked):
            _settle(asked, EngineClosed())

    def models(self) -> tuple[ModelInfo, ...]:
        """What may be asked of each; of one that was downloaded meanwhile, what its files say now."""
        self._notice()
        here = self._undescribed.intersection(self._worker.loaded if self._worker else ())
        if here:
            self._undescribed -= here
            sources = self._files.sources
            self._models = tuple(self._files.describe(sources[m.key]) if m.key in here else m for m in self._models)
        return self._models

    def submit(
        self, request: Txt2Img, *, user: str = "", weight: float = 1.0, lane: str = "fast", adults: bool = False
    ) -> JobTicket:
        self._admit(weight, lane)
        info = resolve.find(self.models(), request.model)
        request = resolve.complete(request, info)
        return self._enqueue(lambda number, post: Job(number, request, info, user, weight, lane, post, adults=adults))

    def _admit(self, weight: float, lane: str) -> None:
        self._check_alive()
        policy.check_share(lane, weight)
        if len(self._open) >= self._max_queue:
            raise QueueFull(retry_after_s=BUSY_RETRY_S)

    def _check_alive(self) -> None:
        if self._closed:
            raise EngineClosed()
        if self._stopped is not None:
            raise self._stopped

    def _enqueue(self, make: Callable[[int, Callable[[Event], None]], Job]) -> JobTicket:
        number, loop = next(self._numbers), asyncio.get_running_loop()
        ticket = JobTicket(lambda: self._commands.put(lambda worker: worker.cancel(job)))

        def publish(event: Event) -> None:
            ticket.publish(event)
            if ticket.ended:
                self._open.pop(number, None)

        def post(event: Event) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(publish, event)

        job = make(number, post)
        publish(Queued(position=len(self._open), eta_s=None))
        self._open[number] = ticket
        self._commands.put(lambda worker: worker.submit(job))
        return ticket

    def left_out(self) -> tuple[LeftOut, ...]:
        return self._left_out

    def abilities(self) -> frozenset[Ability]:
        enlarges: frozenset[Ability] = frozenset({"super_resolution"} if self._files.upscaler else ())
        return vision_options.abilities(self._files.sight, self._files.sources) | enlarges

    async def describe(self, image: Image.Image) -> list[str]:
        return await self._look(lambda eyes: eyes.describe(image))

    async def weigh(self, prompt: str, model: str) -> list[tuple[str, float]]:
        return await self._look(lambda eyes: eyes.weigh(model, prompt))

    async def rewrite(self, text: str, aim: Aim) -> str:
        return await self._look(lambda eyes: eyes.rewrite(text, aim))

    async def segment(self, image: Image.Image, what: str) -> Image.Image:
        return await self._look(lambda eyes: eyes.segment(image, what))

    async def check(self, image: Image.Image, *, adults: bool = False) -> Verdict:
        return (
            await self._look(lambda eyes: eyes.judge(image, adults=adults))
            if "safety" in self.abilities()
            else picture_safety.FINE
        )

    async def _look(self, question: Callable[[VisionModels], T]) -> T:
        """Ask the models that look at pictures. Raises: EngineError."""

        def command(post: Post[T]) -> Command:
            return lambda worker: worker.look(question, post)

        return await self._ask(command)

    async def inspect(self) -> Inspection:
        """Which models are in memory and how much was run, as it is between two steps. Raises: EngineError."""

        def command(post: Post[Inspection]) -> Command:
            return lambda worker: worker.inspect(post)

        return await self._ask(command)

    async def _ask(self, command: Callable[[Post[T]], Command]) -> T:
        """The thread's answer. Raises: EngineError."""
        self._check_alive()
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[T] = loop.create_future()

        def post(answer: T | EngineError) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, asked, answer)

        self._asked.add(asked)
        asked.add_done_callback(self._asked.discard)
        self._commands.put(command(post))
        return await asked

    def status(self) -> EngineStatus:
        worker = self._worker
        facts = dict(worker.facts) if worker else {}
        if self._stopped is not None:
            facts["lost"] = f"{str(self._stopped).partition('. ')[0].rstrip('.')}."  # jobs are told the rest
        if worker is not None:
            facts |= {"memory_bytes": worker.memory_bytes, "free_bytes": worker.free_bytes, "rounds": worker.rounds}
        running = worker.running if worker else 0
        return EngineStatus(
            device=facts.pop("device", self._settings["device"]),
            dtype=facts.pop("dtype", self._settings["dtype"]),
            mode=self._settings["mode"],
            loaded=worker.loaded if worker else (),
            queued=max(0, len(self._open) - running),
            running=min(running, len(self._open)),
            facts=facts,
            memory=worker.kept if worker else {},
        )


def _check_setup(*, mode: str, dtype: str, threads: int, max_rows: int, memory_mib: float) -> None:
    """Raises: InvalidSetup."""
    if mode not in MODES:
        raise InvalidSetup(reason=f"the mode '{mode}' is none of {', '.join(MODES)}")
    if dtype not in DTYPES:
        raise InvalidSetup(reason=f"the dtype '{dtype}' is none of {', '.join(DTYPES)}")
    if threads < 0 or max_rows < 1 or memory_mib < 0:
        raise InvalidSetup(reason="threads and memory_mib can't be negative, and max_rows is at least 1")


def _settle(asked: asyncio.Future[Any], answer: object) -> None:
    """Hand over an answer, or raise it when it is an error; nobody may wait any more."""
    if asked.done():
        return
    if isinstance(answer, EngineError):
        asked.set_exception(answer)
    else:
        asked.set_result(answer)
