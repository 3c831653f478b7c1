"""One job as its submitter sees it: events out, cancel in. Lives on the event loop; knows no torch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Self

from PIL import Image

from engine.api.errors import EngineError
from engine.api.events import Cancelled, Event, Failed, ImageReady, Loading, Preview, Progress, Queued, Terminal

_LATEST_WINS = (Queued, Loading, Progress, Preview)  # a reader that sleeps needs only the newest of these


class JobTicket:
    """Implements `engine.Ticket` for every backend.

    `publish` must be called on the event loop. Iterating ends after the terminal event; `aclose` cancels the job.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        self._pending: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._images: dict[int, Image.Image] = {}
        self._end: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

    @property
    def ended(self) -> bool:
        return self._end.done()

    def publish(self, event: Event) -> None:
        """Hand one event to the reader; what comes after the end is dropped."""
        if self._end.done():
            return
        if isinstance(event, ImageReady):
            self._images[event.index] = event.image
        if isinstance(event, _LATEST_WINS) and self._pending and type(self._pending[-1]) is type(event):
            self._pending.pop()
        self._pending.append(event)
        if isinstance(event, Terminal):
            self._end.set_result(event)
        self._arrived.set()

    def fail(self, error: EngineError) -> None:
        """End it from outside, when no backend is left to do so."""
        self.publish(Failed(error=error))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._pending:
            if self._end.done():
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._pending.popleft()

    async def aclose(self) -> None:
        """Stop reading: nobody waits for the pictures any more, so none are made."""
        self.cancel()

    async def wait(self, timeout_s: float) -> None:
        """Wait for the end, at most so long."""
        await asyncio.wait([self._end], timeout=timeout_s)

    async def result(self) -> list[Image.Image]:
        """Wait for the end; the images in order. Raises: EngineError; asyncio.CancelledError when cancelled."""
        end = await asyncio.shield(self._end)
        if isinstance(end, Failed):
            raise end.error
        if isinstance(end, Cancelled):
            raise asyncio.CancelledError
        return [self._images[i] for i in sorted(self._images)]

    def cancel(self) -> None:
        """Stop at the next step boundary. Idempotent; harmless after the end."""
        if not self._end.done():
            self._cancel()
