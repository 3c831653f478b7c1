"""An engine in another process, as it's seen from here: a `Backend` over a link. Knows no torch."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from engine.api.errors import WorkerLost
from engine.api.events import Event, Finished, ImageReady, Preview
from engine.api.inspection import Inspection
from engine.api.left_out import LeftOut
from engine.api.model_info import ModelInfo
from engine.api.rewriting import Aim
from engine.api.safety import Verdict
from engine.api.tickets import JobTicket
from engine.backend import Ability, EngineStatus
from engine.tasks.txt2img import Txt2Img
from engine.wire import messages, pictures
from engine.wire.frames import Malformed
from engine.wire.links import Gone, Link
from engine.wire.messages import PROTOCOL, Answer, Hello, Message, Need, Question, State, Subject, Told

log = logging.getLogger(__name__)
SILENCE_S = 8.0  # without a word, though there is one a second: it hangs
STARTING_S = 120.0  # to the first word: a busy machine takes long to read all the libraries
SECOND_LOOK_S = 1.0  # it may be this process that stood still, and what was said lies here unread


class OtherVersion(Exception):
    """This worker's Easel ({version}) speaks another protocol than the bot's. Install the same version on both."""

    def __init__(self, version: str) -> None:
        super().__init__((type(self).__doc__ or "").format(version=version or "unknown"))


@dataclass(eq=False, slots=True)
class _Sent:
    """A job that the worker has, or is being sent."""

    ticket: JobTicket
    request: Txt2Img
    pictures: dict[str, Image.Image] = field(default_factory=dict)
    painted: set[int] = field(default_factory=set)
    cancelled: bool = False

    def check(self, event: Event) -> None:
        """Whether a worker can have that to tell of this job. Raises: Malformed."""
        if isinstance(event, ImageReady | Preview) and not 0 <= event.index < self.request.draws:
            raise Malformed("a picture is none of the job's")
        if isinstance(event, ImageReady):
            self.painted.add(event.index)
        if isinstance(event, Finished) and len(self.painted) < self.request.num_images:
            raise Malformed("a job has ended without its pictures")


class RemoteEngine:
    """Implements `engine.Backend`. `on_change` is called when the worker's state has changed.

    `serve` reads what the worker says until it's gone. What becomes of its jobs then is said by `abandon`, so that
    whoever runs it can find out first why it ended.
    """

    def __init__(self, link: Link, on_change: Callable[[], None]) -> None:
        self._link, self._on_change = link, on_change
        self._state = State(status=EngineStatus(), models=(), left_out=(), abilities=frozenset())
        self._numbers = itertools.count(1)
        self._jobs: dict[int, _Sent] = {}
        self._known: set[str] = set()  # hashes of pictures that were sent
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.greeting: Hello | None = None
        self.gone = False
        self._heard_at = 0.0

    # ------------------------------------------------------------ life
    async def start(self) -> None:
        """It was started by whoever runs it."""

    async def serve(self) -> str:
        """Read until the worker is gone, or hangs; why, in a few words. Raises: OtherVersion; the link is open then."""
        self._heard_at = time.monotonic()
        reading, watching = asyncio.create_task(self._read()), asyncio.create_task(self._watch())
        try:
            done, _ = await asyncio.wait({reading, watching}, return_when=asyncio.FIRST_COMPLETED)
            return (reading if reading in done else watching).result()
        finally:
            self.gone = True
            for task in (reading, watching):
                task.cancel()
            await asyncio.gather(reading, watching, return_exceptions=True)

    async def _read(self) -> str:
        try:
            while True:
                self._take(await self._link.receive())
                self._heard_at = time.monotonic()
        except Gone:
            return "it has ended"
        except Malformed as error:
            return f"it said something that is no message ({error})"

    async def _watch(self) -> str:
        """Return once it has been silent for too long."""
        while True:
            heard_at, patience_s = self._heard_at, SILENCE_S if self.greeting is not None else STARTING_S
            silent_s = time.monotonic() - heard_at
            sure = self.greeting is not None and silent_s < patience_s  # its first word shortens the patience with it
            await asyncio.sleep(patience_s - silent_s if sure else SECOND_LOOK_S)
            if silent_s >= patience_s and self._heard_at == heard_at:
                return f"it said nothing for {patience_s:.0f} s"

    def abandon(self) -> None:
        """Tell everybody who waits for it that it's gone. Idempotent."""
        self.gone = True
        self._link.close()
        for job in self._jobs.values():
            job.ticket.fail(WorkerLost())
        self._jobs.clear()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(WorkerLost())

    async def close(self, grace_s: float = 0.0) -> None:
        """Ask it to end; whoever started it sees to that."""
        if not self.gone:
            await self._say(messages.Close(grace_s=grace_s))

    # ------------------------------------------------------------ what it says
    def _take(self, message: Message) -> None:
        match message:
            case Told(job=number, event=event) if number in self._jobs:
                self._jobs[number].check(event)
                ticket = self._jobs[number].ticket
                ticket.publish(event)
                if ticket.ended:
                    del self._jobs[number]
            case State():
                if self.greeting is None:
                    raise Malformed("it hasn't said which protocol it speaks")
                self._learn(message)
            case Answer(number=number) if number in self._asked:
                if not self._asked[number].done():
                    self._asked[number].set_result(message)
            case Need(job=number, sha256s=sha256s) if number in self._jobs:
                self._do(self._send_pictures(self._jobs[number], sha256s))
            case Hello():
                if message.protocol != PROTOCOL:
                    raise OtherVersion(message.version)
                self.greeting = message

    def _learn(self, said: State) -> None:
        kept = self._state
        self._state = State(
            status=said.status,
            models=kept.models if said.models is None else said.models,
            left_out=kept.left_out if said.left_out is None else said.left_out,
            abilities=kept.abilities if said.abilities is None else said.abilities,
        )
        self._on_change()

    # ------------------------------------------------------------ what it's told
    async def _say(self, message: Message) -> None:
        try:
            await self._link.send(message)
        except Gone:  # `serve` tells everybody
            log.debug("a worker was gone before it could be told something")

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def submit(
        self, request: Txt2Img, *, user: str, weight: float = 1.0, lane: str = "fast", adults: bool = False
    ) -> JobTicket:
        number = next(self._numbers)
        if self.gone:
            raise WorkerLost()
        job = _Sent(JobTicket(lambda: self._cancel(number)), request)
        self._jobs[number] = job
        share = {"user": user, "weight": weight, "lane": lane, "adults": adults}
        self._do(self._submit(number, job, request, share))
        return job.ticket

    async def _submit(self, number: int, job: _Sent, request: Txt2Img, share: Mapping[str, Any]) -> None:
        if request.pictures:  # which are hashed
            parcel = await asyncio.get_running_loop().run_in_executor(None, messages.parcel, request)
        else:
            parcel = messages.parcel(request)
        job.pictures = dict(parcel.pictures)
        await self._send_pictures(job, [name for name in parcel.pictures if name not in self._known])
        await self._say(messages.Submit(job=number, request=parcel.request, **share))
        if job.cancelled:
            await self._say(messages.Cancel(job=number))

    async def _send_pictures(self, job: _Sent, sha256s: list[str] | tuple[str, ...]) -> None:
        for sha256 in sha256s:
            if sha256 in job.pictures:
                self._known.add(sha256)
                await self._say(messages.SentPicture(sha256=sha256, image=job.pictures[sha256]))

    def _cancel(self, number: int) -> None:
        if job := self._jobs.get(number):
            job.cancelled = True
            self._do(self._say(messages.Cancel(job=number)))

    # ------------------------------------------------------------ what it's asked
    def models(self) -> tuple[ModelInfo, ...]:
        return self._state.models or ()

    def left_out(self) -> tuple[LeftOut, ...]:
        return self._state.left_out or ()

    def abilities(self) -> frozenset[Ability]:
        return self._state.abilities or frozenset()

    def status(self) -> EngineStatus:
        return self._state.status

    async def describe(self, image: Image.Image) -> list[str]:
        return list((await self._ask("describe", image=image)).prompts)

    async def weigh(self, prompt: str, model: str) -> list[tuple[str, float]]:
        return list((await self._ask("weigh", text=prompt, model=model)).weights)

    async def rewrite(self, text: str, aim: Aim) -> str:
        (prompt,) = (await self._ask("rewrite", text=text, model=aim)).prompts
        return prompt

    async def segment(self, image: Image.Image, what: str) -> Image.Image:
        mask = (await self._ask("segment", image=image, text=what)).image
        if mask is None:
            raise WorkerLost()
        return mask

    async def check(self, image: Image.Image, *, adults: bool = False) -> Verdict:
        return (await self._ask("check", image=image, adults=adults)).verdict or Verdict(
            flagged=True, reason="nobody answered"
        )

    async def inspect(self) -> Inspection:
        """What is inside, as in `engine.Engine`. Raises: EngineError."""
        return (await self._ask("inspect")).inspection or Inspection(models=())

    async def _ask(self, subject: Subject, *, image: Image.Image | None = None, **more: Any) -> Answer:
        """Raises: EngineError."""
        if self.gone:
            raise WorkerLost()
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            shown = None if image is None else pictures.sendable(image)
            await self._say(Question(number=number, subject=subject, image=shown, **more))
            told = await answer
        finally:
            del self._asked[number]
        if told.error is not None:
            raise told.error
        return told
