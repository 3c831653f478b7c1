"""The worker's side of a link: does what the bot asks with an engine of its own. Knows no torch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

from PIL import Image

from engine.api.errors import EngineError, EngineFault, InvalidRequest, first_line
from engine.api.events import Cancelled, Event, Failed, Preview, Progress, Terminal
from engine.api.inspection import Inspectable, Inspection
from engine.api.rewriting import Aim
from engine.backend import Backend, Ticket
from engine.wire import messages
from engine.wire.frames import Malformed
from engine.wire.links import Gone, Link
from engine.wire.messages import BEAT_S, PROTOCOL, Answer, Close, Hello, Need, Question, Refused, State, Submit, Told

log = logging.getLogger(__name__)
PROGRESS_S = 0.2  # from one word of a job's steps, or preview, to the next: nobody sees more, and each costs both ends
KEPT_BYTES = 512 << 20  # of pictures that jobs may name again
DISTRIBUTION = "easel-bot"


class Pictures:
    """What was sent, the latest first to stay."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most, self._bytes = most_bytes, 0
        self._kept: OrderedDict[str, Image.Image] = OrderedDict()

    def put(self, sha256: str, image: Image.Image) -> None:
        self._bytes -= _bytes(self._kept.pop(sha256, None))
        self._kept[sha256] = image
        self._bytes += _bytes(image)
        while self._bytes > self._most and len(self._kept) > 1:
            self._bytes -= _bytes(self._kept.popitem(last=False)[1])

    def get(self, sha256: str) -> Image.Image | None:
        if sha256 in self._kept:
            self._kept.move_to_end(sha256)
        return self._kept.get(sha256)


def _bytes(image: Image.Image | None) -> int:
    return 0 if image is None else image.width * image.height * len(image.getbands())


class Serving:
    """One bot at the other end of a link."""

    def __init__(self, backend: Backend, link: Link) -> None:
        self._backend, self._link = backend, link
        self._pictures = Pictures()
        self._arrived = asyncio.Condition()
        self._tickets: dict[int, Ticket] = {}
        self._wanted: set[int] = set()  # jobs that are being taken in and nobody has cancelled
        self._told = State(status=backend.status())
        self._leaving = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> str:
        """Serve until the bot is gone, or says so; what it asked for is given up. Returns its last word, if any."""
        beating = asyncio.create_task(self._beat())
        try:
            await self._link.send(Hello(protocol=PROTOCOL, version=_version()))
            while True:
                message = await self._link.receive()
                if isinstance(message, Refused):
                    return message.text
                if isinstance(message, Close):
                    await self._finish(message.grace_s)
                    return ""
                await self._take(message)
        except Gone:
            return ""
        except Malformed as error:
            return f"The bot said something that is no message ({error})."
        finally:
            beating.cancel()
            for ticket in self._tickets.values():
                ticket.cancel()
            for task in [*self._tasks]:
                task.cancel()
            self._link.close()

    async def leave(self, grace_s: float) -> None:
        """Tell the bot to give no more jobs, and wait until those that it has begun are done."""
        self._leaving = True
        with suppress(Gone):
            await self._link.send(self._news())
            await asyncio.sleep(BEAT_S)  # what was on its way by then has come, and was taken back
        await self._finish(grace_s)

    async def _finish(self, grace_s: float) -> None:
        if self._tasks and grace_s > 0:
            await asyncio.wait([*self._tasks], timeout=grace_s)

    async def _beat(self) -> None:
        try:
            while True:
                await self._link.send(self._news())
                await asyncio.sleep(BEAT_S)
        except Gone:
            return

    def _news(self) -> State:
        """How things are, without what was told already."""
        backend, told = self._backend, self._told
        status = backend.status()
        now = State(
            status=replace(status, facts={**status.facts, "leaving": True}) if self._leaving else status,
            models=backend.models(),
            left_out=backend.left_out(),
            abilities=backend.abilities(),
        )
        self._told = now
        return State(
            status=now.status,
            models=None if now.models == told.models else now.models,
            left_out=None if now.left_out == told.left_out else now.left_out,
            abilities=None if now.abilities == told.abilities else now.abilities,
        )

    async def _take(self, message: messages.Message) -> None:
        match message:
            case messages.SentPicture(sha256=sha256, image=image):
                self._pictures.put(sha256, image)
                async with self._arrived:
                    self._arrived.notify_all()
            case Submit():
                self._wanted.add(message.job)
                self._do(self._paint(message), f"job-{message.job}")
            case messages.Cancel(job=job):
                self._wanted.discard(job)
                async with self._arrived:
                    self._arrived.notify_all()
                if job in self._tickets:
                    self._tickets[job].cancel()
            case Question():
                self._do(self._answer(message), f"question-{message.number}")

    def _do(self, work: object, name: str) -> None:
        assert asyncio.iscoroutine(work)
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ------------------------------------------------------------ jobs
    async def _paint(self, asked: Submit) -> None:
        try:
            await self._follow(asked)
        except Gone:
            return
        except (EngineError, Malformed) as error:
            told = error if isinstance(error, EngineError) else InvalidRequest(f"{error}.".capitalize())
            await self._tell(asked.job, Failed(error=told))
        except Exception as error:  # an outer edge: whoever waits for the job must hear of its end
            log.exception("job %d could not be told of", asked.job)
            await self._tell(asked.job, Failed(error=EngineFault(reason=first_line(error))))
        finally:
            self._wanted.discard(asked.job)
            self._tickets.pop(asked.job, None)

    async def _follow(self, asked: Submit) -> None:
        """Raises: Gone, Malformed, EngineError."""
        request = messages.request_of(asked.request)
        found = await self._found(asked.job, messages.stored_in(request))
        if asked.job not in self._wanted:
            await self._tell(asked.job, Cancelled())
            return
        how: dict[str, Any] = {"user": asked.user, "weight": asked.weight, "lane": asked.lane, "adults": asked.adults}
        ticket = self._backend.submit(request.loaded(found), **how)
        self._tickets[asked.job] = ticket
        ended, lately = False, _Lately()
        async for event in ticket:
            if lately.told(event):
                continue
            ended = isinstance(event, Terminal)
            await self._link.send(Told(job=asked.job, event=event))
        if not ended:
            await self._tell(asked.job, Cancelled())

    async def _tell(self, job: int, event: Failed | Cancelled) -> None:
        try:
            await self._link.send(Told(job=job, event=event))
        except Gone:
            log.debug("nobody hears how job %d ended", job)

    async def _found(self, job: int, wanted: Sequence[str]) -> dict[str, Image.Image]:
        """The pictures of a request; what isn't here is asked for, and waited for until the job is cancelled."""
        found: dict[str, Image.Image] = {}

        def is_over() -> bool:
            found.update({name: image for name in wanted if name not in found and (image := self._pictures.get(name))})
            return len(found) == len(wanted) or job not in self._wanted

        if not is_over():
            await self._link.send(Need(job=job, sha256s=tuple(name for name in wanted if name not in found)))
            async with self._arrived:
                await self._arrived.wait_for(is_over)
        return found

    # ------------------------------------------------------------ questions
    async def _answer(self, asked: Question) -> None:
        try:
            answer = await self._answered(asked)
        except EngineError as error:
            answer = Answer(number=asked.number, error=error)
        except Exception as error:  # an outer edge: whoever asked is told, and the worker goes on
            log.exception("a question could not be answered")
            answer = Answer(number=asked.number, error=EngineFault(reason=first_line(error)))
        try:
            await self._link.send(answer)
        except Gone:
            log.debug("nobody hears an answer")

    async def _answered(self, asked: Question) -> Answer:
        """Raises: EngineError."""
        backend, number, image = self._backend, asked.number, asked.image
        if asked.subject == "weigh":
            return Answer(number=number, weights=tuple(await backend.weigh(asked.text, asked.model)))
        if asked.subject == "rewrite":
            return Answer(number=number, prompts=(await backend.rewrite(asked.text, cast(Aim, asked.model)),))
        if asked.subject == "inspect":
            inspected = await backend.inspect() if isinstance(backend, Inspectable) else Inspection(models=())
            return Answer(number=number, inspection=inspected)
        if image is None:
            raise InvalidRequest("There is no picture.")
        if asked.subject == "describe":
            return Answer(number=number, prompts=tuple(await backend.describe(image)))
        if asked.subject == "segment":
            return Answer(number=number, image=await backend.segment(image, asked.text))
        return Answer(number=number, verdict=await backend.check(image, adults=asked.adults))


class _Lately:
    """When a job's steps were told last, and how each of its pictures looked on the way."""

    def __init__(self) -> None:
        self._at: dict[int | None, float] = {}

    def told(self, event: Event) -> bool:
        """Whether one like it was told a moment ago, so that nobody misses this one; else it counts as told now."""
        match event:
            case Progress(step=step, steps=steps) if step < steps:
                what = None
            case Preview(index=index, flagged=False):
                what = index
            case _:
                return False
        now = time.monotonic()
        if now - self._at.get(what, -PROGRESS_S) < PROGRESS_S:
            return True
        self._at[what] = now
        return False


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return ""
