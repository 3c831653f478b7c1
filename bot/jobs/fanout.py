"""Several engine jobs as one: their events merged, picture i from job i. Knows no engine internals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from PIL import Image

from engine.api.errors import EngineError
from engine.api.events import (
    Cancelled,
    Event,
    Failed,
    Finished,
    ImageReady,
    Loading,
    Preview,
    Progress,
    Queued,
    Started,
    Terminal,
)
from engine.api.recipe import Recipe
from engine.backend import Backend, Ticket, WorkerStatus
from engine.tasks import resolve
from engine.tasks.txt2img import Txt2Img


def submit(
    backend: Backend, requests: Sequence[Txt2Img], *, user: str, weight: float, lane: str, adults: bool
) -> Ticket:
    """One ticket for all requests; of several, each paints one picture. Raises: as `Backend.submit`.

    The pictures of a single one are shared out where several workers have nothing else to do.
    """
    whole = requests[0] if len(requests) == 1 else None
    if whole is not None and shares_out(whole, backend.status().workers):
        requests = [resolve.of_one(whole, index) for index in range(whole.num_images)]
    if len(requests) == 1:
        return backend.submit(requests[0], user=user, weight=weight, lane=lane, adults=adults)
    tickets: list[Ticket] = []
    try:
        for request in requests:
            tickets.append(backend.submit(request, user=user, weight=weight, lane=lane, adults=adults))
    except EngineError:
        for ticket in tickets:
            ticket.cancel()
        raise
    return TicketGroup(tickets, [request.num_inference_steps or 1 for request in requests], whole)


def shares_out(request: Txt2Img, workers: Sequence[WorkerStatus]) -> bool:
    """Whether a request's pictures are sooner done by several workers: they have the model, and nobody else's job.

    Pictures that share their calls, or of which the best are kept, stay together.
    """
    alone = request.num_images == 1 or request.best_of or request.together or request.seed is None
    idle = [each for each in workers if each.up and not (each.drained or each.running or each.queued)]
    return not alone and sum(request.model in each.loaded for each in idle) > 1


class TicketGroup:
    """Implements `engine.Ticket` over others. One that fails leaves the rest painting; the end tells of it.

    Args:
        whole: the request whose pictures they paint, which is what each picture's recipe tells.
    """

    def __init__(self, tickets: Sequence[Ticket], steps: Sequence[int], whole: Txt2Img | None = None) -> None:
        self._tickets, self._whole = tickets, whole
        self._steps, self._done = list(steps), [0] * len(tickets)
        self._started = False

    def cancel(self) -> None:
        for ticket in self._tickets:
            ticket.cancel()

    async def result(self) -> list[Image.Image]:
        """Raises: EngineError; asyncio.CancelledError when cancelled."""
        return [image for ticket in self._tickets for image in await ticket.result()]

    async def __aiter__(self) -> AsyncIterator[Event]:
        arrived: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()
        pumps = [asyncio.create_task(_pump(n, ticket, arrived)) for n, ticket in enumerate(self._tickets)]
        ends: list[Event] = []
        try:
            while len(ends) < len(pumps):
                number, event = await arrived.get()
                if isinstance(event, Terminal):
                    ends.append(event)
                elif (told := self._told(number, event)) is not None:
                    yield told
            yield _end(ends)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    def _told(self, number: int, event: Event) -> Event | None:
        """An event of one job as one of all; None when it says nothing new."""
        match event:
            case Queued() | Loading():
                return event if number == 0 and not self._started else None
            case Started():
                first, self._started = not self._started, True
                return event if first else None
            case Progress(step=step, steps=steps):
                self._done[number], self._steps[number] = step, steps
                return Progress(step=sum(self._done), steps=sum(self._steps))
            case Preview():
                return replace(event, index=number)
            case ImageReady(recipe=recipe):
                return replace(event, index=number, recipe=recipe if self._whole is None else self._of(number, recipe))
        return event

    def _of(self, number: int, recipe: Recipe) -> Recipe:
        """A picture's recipe as if the whole had been painted by one."""
        assert self._whole is not None
        whole = resolve.to_json(self._whole)
        told = {name: whole[name] for name in ("seed", "variations", "num_images")}
        return replace(recipe, index=number, request={**recipe.request, **told})


async def _pump(number: int, ticket: Ticket, arrived: asyncio.Queue[tuple[int, Event]]) -> None:
    ended = False
    async for event in ticket:
        ended = isinstance(event, Terminal)
        arrived.put_nowait((number, event))
    if not ended:
        arrived.put_nowait((number, Cancelled()))  # a ticket that ends without a word


def _end(ends: Sequence[Event]) -> Event:
    """How all of them ended: what a retry may mend comes first, for then none of them counts."""
    failures = sorted((end for end in ends if isinstance(end, Failed)), key=lambda end: not end.error.retryable)
    if any(isinstance(end, Cancelled) for end in ends):
        return Cancelled()
    if failures:
        return failures[0]
    finished = [end for end in ends if isinstance(end, Finished)]
    wait_s = min(end.wait_s for end in finished)
    return Finished(wait_s=wait_s, run_s=max(end.wait_s + end.run_s for end in finished) - wait_s)
