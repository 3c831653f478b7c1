"""A backend over a service that paints one picture at a time. Knows no torch, and none of the services."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import aiohttp
from PIL import Image

from engine.api.errors import (
    NO_CAPTIONER,
    NO_HELPER,
    NO_RANKER,
    NO_SEGMENTER,
    EngineClosed,
    EngineError,
    EngineFault,
    InvalidRequest,
    RenderFailed,
)
from engine.api.events import Cancelled, Event, Failed, Finished, ImageReady, Preview, Progress, Queued, Started
from engine.api.left_out import LeftOut
from engine.api.model_info import ModelInfo
from engine.api.recipe import Recipe
from engine.api.rewriting import Aim
from engine.api.safety import FINE, Verdict
from engine.api.tickets import JobTicket
from engine.backend import Ability, EngineStatus
from engine.tasks import resolve
from engine.tasks.txt2img import Txt2Img
from engine.wire.frames import Malformed
from engine.wire.pictures import MAX_PIXELS

log = logging.getLogger(__name__)
FORMATS = ("PNG", "JPEG", "WEBP")


class Service(Protocol):
    """Something that paints. `kind`: what a recipe says of it."""

    kind: str
    info: ModelInfo

    async def paint(
        self,
        session: aiohttp.ClientSession,
        request: Txt2Img,
        seed: int,
        told: Callable[[int, int], None],
        shown: Callable[[bytes], None],
    ) -> bytes:
        """One picture's file. `told`: steps done, and in all; `shown`: a preview. Cancelling it stops the service.

        Raises: RenderFailed, InvalidRequest; aiohttp.ClientError, OSError, TimeoutError when it can't be reached.
        """
        ...


class ForeignEngine:
    """Implements `engine.Backend` over one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._session: aiohttp.ClientSession | None = None
        self._tasks: dict[JobTicket, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()  # one after the other: whoever runs the service has it do as much as it can
        self._rounds = 1
        self._closed = False

    async def start(self) -> None:
        self._session = self._session or aiohttp.ClientSession()

    async def close(self, grace_s: float = 0.0) -> None:
        self._closed = True
        if self._tasks and grace_s:
            await asyncio.wait([*self._tasks.values()], timeout=grace_s)
        for ticket, task in [*self._tasks.items()]:
            task.cancel()
            ticket.fail(EngineClosed())
        if self._session is not None:
            await self._session.close()

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._service.info,)

    def left_out(self) -> tuple[LeftOut, ...]:
        return ()

    def abilities(self) -> frozenset[Ability]:
        return frozenset()

    def status(self) -> EngineStatus:
        facts = {"rounds": self._rounds}
        running = int(self._turn.locked())
        queued = max(0, len(self._tasks) - running)
        kind, loaded = self._service.kind, (self._service.info.key,)
        return EngineStatus(device=kind, dtype="", mode="", loaded=loaded, queued=queued, running=running, facts=facts)

    async def describe(self, image: Image.Image) -> list[str]:
        raise InvalidRequest(*NO_CAPTIONER)

    async def weigh(self, prompt: str, model: str) -> list[tuple[str, float]]:
        raise InvalidRequest(*NO_RANKER)

    async def rewrite(self, text: str, aim: Aim) -> str:
        raise InvalidRequest(*NO_HELPER)

    async def segment(self, image: Image.Image, what: str) -> Image.Image:
        raise InvalidRequest(*NO_SEGMENTER)

    async def check(self, image: Image.Image, *, adults: bool = False) -> Verdict:
        return FINE

    # ------------------------------------------------------------ jobs
    def submit(
        self, request: Txt2Img, *, user: str = "", weight: float = 1.0, lane: str = "fast", adults: bool = False
    ) -> JobTicket:
        if self._closed or self._session is None:
            raise EngineClosed()
        request = resolve.complete(request, resolve.find(self.models(), request.model))
        ticket = JobTicket(lambda: self._cancel(ticket))
        ticket.publish(Queued(position=len(self._tasks), eta_s=None))
        task = asyncio.create_task(self._run(ticket, request), name=f"{self._service.kind}-job")
        self._tasks[ticket] = task
        task.add_done_callback(lambda _: self._tasks.pop(ticket, None))
        return ticket

    def _cancel(self, ticket: JobTicket) -> None:
        if task := self._tasks.get(ticket):
            task.cancel()
        ticket.publish(Cancelled())

    async def _run(self, ticket: JobTicket, request: Txt2Img) -> None:
        asked = time.perf_counter()
        try:
            async with self._turn:
                started = time.perf_counter()
                ticket.publish(Started())
                for index in range(request.num_images):
                    ticket.publish(await self._picture(ticket, request, index))
            ticket.publish(Finished(wait_s=started - asked, run_s=time.perf_counter() - started))
        except EngineError as error:
            ticket.publish(Failed(error=error))
        except Malformed as error:
            ticket.publish(Failed(error=RenderFailed(reason=str(error))))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = f"{self._service.kind} can't be reached: {str(error) or type(error).__name__}"
            ticket.publish(Failed(error=EngineFault(reason=reason[:200])))
        except Exception as error:  # an outer edge: it may answer whatever it likes, and whoever waits hears of the end
            log.exception("%s answered what nobody expected", self._service.kind)
            reason = f"{self._service.kind} answered what can't be read, {type(error).__name__}"
            ticket.publish(Failed(error=RenderFailed(reason=reason)))

    async def _picture(self, ticket: JobTicket, request: Txt2Img, index: int) -> Event:
        assert self._session is not None
        seed, of_one = resolve.image_seed(request, index), request.num_inference_steps or 1

        def told(step: int, steps: int) -> None:
            self._rounds += 1
            done = index * of_one + min(of_one, of_one * step // max(1, steps))
            ticket.publish(Progress(step=done, steps=of_one * request.num_images))

        def shown(data: bytes) -> None:
            with suppress(Malformed):  # the picture itself may be a good one
                ticket.publish(Preview(index=index, image=opened(data)))

        data = await self._service.paint(self._session, request, seed, told, shown)
        told(1, 1)
        image = await asyncio.get_running_loop().run_in_executor(None, opened, data)
        return ImageReady(index=index, image=image, seed=seed, recipe=self._recipe(request, index, seed))

    def _recipe(self, request: Txt2Img, index: int, seed: int) -> Recipe:
        """What is known of how it was made; the rest only the service knows."""
        info = self._service.info
        return Recipe(
            task=request.task,
            request=resolve.to_json(request),
            index=index,
            seed=seed,
            model=info.key,
            model_sha256=hashlib.sha256(info.revision.encode()).hexdigest(),
            model_revision=info.revision,
            mode="",
            rows=1,
            dtype="",
            device=self._service.kind,
            versions={},
        )


async def told_by(answer: aiohttp.ClientResponse) -> Any:
    """What a service's answer says as JSON. Raises: RenderFailed for what is none, ClientError when it can't answer."""
    if answer.status >= 500 or answer.status in (408, 429):
        answer.raise_for_status()
    try:
        return await answer.json(content_type=None)
    except (ValueError, RecursionError):
        host = answer.url.host
        raise RenderFailed(reason=f"{host} answers {answer.status} and no JSON; is its address right?") from None


def opened(data: bytes) -> Image.Image:
    """A service's picture as RGB. Raises: Malformed when it's none, or larger than any may be."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Malformed("the picture is larger than any may be")
            return image.convert("RGB")
    except Malformed:
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads to
        raise Malformed(f"the picture can't be read ({type(error).__name__})") from None
