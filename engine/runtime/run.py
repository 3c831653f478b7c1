"""run: a batch's calls on the device, whatever that takes: joined, padded, one by one, in halves, in tiles."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from engine.api.errors import OutOfMemory
from engine.api.inspection import Forwards
from engine.device import devices
from engine.device.failures import attempt, forget
from engine.device.fibers import Call, Kind, forward
from engine.device.overflow import in_float32, was_too_small
from engine.device.rows.joins import Joins
from engine.device.tiling import circular, in_tiles
from engine.models.model_cache import ModelCache
from engine.runtime.batch_sizes import BatchSizes
from engine.runtime.jobs import ImageRun
from engine.runtime.policy import BatchCurve
from engine.runtime.schedule import Batch

Account = Callable[[ImageRun, Kind, float], None]
MOST_IN_FLIGHT = (
    1  # calls that a card may be busy with when it's asked for the next: it never waits for us, nor we long
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one image's call came to.

    Attributes:
        result: what the module returned, for this image's rows. error: what was raised in its place.
        rows: that were computed together.
    """

    image: ImageRun
    result: Any = None
    error: Exception | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Flight:
    """A batch that the device was asked to run. `curve`: learns what it takes."""

    images: Sequence[ImageRun]
    kind: Kind
    rows: int
    curve: BatchCurve
    stopwatch: devices.Stopwatch


@dataclass(slots=True)
class Runner:
    """Runs batches, and learns how many rows are worth joining.

    Attributes:
        account: is told each image's part of the seconds that a call took, once they are known.
        forwards: counts what was run, by kind of call.
    """

    device: torch.device
    sizes: BatchSizes
    cache: ModelCache
    account: Account
    forwards: dict[Kind, Forwards] = field(default_factory=dict)
    _flights: deque[Flight] = field(default_factory=deque)
    _joins: Joins = field(default_factory=Joins)

    def run(self, batch: Batch) -> Iterator[Outcome]:
        """Every image's outcome, as soon as it is there; what is done about one may end the jobs of the next."""
        batch = replace(batch, images=[image for image in batch.images if image.call is not None])
        if not batch.images:
            return
        stopwatch = devices.Stopwatch(self.device)
        results = attempt(lambda: self._compute(batch))
        if not isinstance(results, Exception):
            self._begun(batch, stopwatch)
            yield from self._share_out(batch, results)
        elif devices.is_out_of_memory(results):
            forget(results)
            yield from self._with_less_memory(batch)
        elif len(batch.images) == 1:
            yield Outcome(image=batch.images[0], error=results)
        else:  # one of them is to blame, and the others must not suffer for it
            for image in batch.images:
                yield from self.run(Batch([image]))

    def _compute(self, batch: Batch) -> list[Any]:
        return compute(batch.calls[:1] if batch.same else batch.calls, batch.pad_to, self.device, self._joins)

    def _begun(self, batch: Batch, stopwatch: devices.Stopwatch) -> None:
        """The device was asked for it. Only a picture is waited for; of the others, the one before."""
        stopwatch.stop()
        call, rows = batch.calls[0], batch.rows
        self.forwards[call.kind] = self.forwards.get(call.kind, Forwards()).plus(len(batch.images), rows)
        self._flights.append(Flight(batch.images, call.kind, rows, self.sizes.curve(call), stopwatch))
        self._land(0 if call.kind == "decode" else MOST_IN_FLIGHT)

    def _land(self, most: int) -> None:
        """Learn what calls took that are done, and wait until no more than `most` are left."""
        while self._flights and (len(self._flights) > most or self._flights[0].stopwatch.done):
            flight = self._flights.popleft()
            seconds = flight.stopwatch.seconds()
            flight.curve.observe(flight.rows, seconds)
            for image in flight.images:
                self.account(image, flight.kind, seconds / len(flight.images))

    def _share_out(self, batch: Batch, results: Sequence[Any]) -> Iterator[Outcome]:
        rows = batch.rows
        results = [*results] * len(batch.images) if batch.same else results
        for image, own, result in zip(batch.images, batch.calls, results, strict=True):
            if own.kind == "decode" and was_too_small(own.module, own.sample, result):
                yield self._in_float32(image, own)
            else:
                yield Outcome(image=image, result=result, rows=rows)

    def _in_float32(self, image: ImageRun, call: Call) -> Outcome:
        """A picture that half precision was too small for, decoded once more."""
        stopwatch = devices.Stopwatch(self.device)
        with in_float32(call.module):
            result = attempt(lambda: compute([call.in_float32()], 0, self.device))
        if isinstance(result, Exception):
            return Outcome(image=image, error=result)
        return self._outcome(image, call, result[0], stopwatch)

    def _outcome(self, image: ImageRun, call: Call, result: Any, stopwatch: devices.Stopwatch) -> Outcome:
        """Of a call that was made for one image in an unusual way, which tells nothing of how long others take."""
        stopwatch.stop()
        self.account(image, call.kind, stopwatch.seconds())
        return Outcome(image=image, result=result, rows=call.rows)

    def _with_less_memory(self, batch: Batch) -> Iterator[Outcome]:
        """Half as many images, and never that many rows again; one that fits nowhere has run out of memory."""
        devices.free_cache(self.device)
        images, call = batch.images, batch.calls[0]
        self.sizes.lower(call, batch.rows)
        if len(images) > 1:
            half = len(images) // 2
            yield from self.run(Batch(images[:half]))
            yield from self.run(Batch(images[half:]))
        elif batch.pad_to > call.rows:
            yield from self.run(Batch(images))
        else:
            yield self._last_resort(images[0])

    def _last_resort(self, image: ImageRun) -> Outcome:
        """With idle models gone and in tiles, then without text encoders, then block by block; then give up."""
        call, stopwatch = image.call, devices.Stopwatch(self.device)
        self.cache.evict_idle()
        for make_room in (lambda: True, self.cache.thin_out, lambda: self.cache.offload(image.model)):
            if attempt(make_room) is not True:  # there was nothing to move, or no room to do it in
                continue
            result = attempt(lambda: compute_small(call, self.device))
            if not isinstance(result, Exception):
                return self._outcome(image, call, result, stopwatch)
            if not devices.is_out_of_memory(result):
                return Outcome(image=image, error=result)
            forget(result)
            devices.free_cache(self.device)
        return Outcome(image=image, error=OutOfMemory())


def compute(calls: Sequence[Call], pad_to: int, device: torch.device, joins: Joins | None = None) -> list[Any]:
    """The results of calls of one key, in their order; a single one on a CPU runs just as its pipeline asked."""
    first = calls[0]
    alone = len(calls) == 1 and not pad_to and (device.type == "cpu" or first.strange)
    together: Callable[[], list[Any]] = (lambda: [first.run()]) if alone else (lambda: forward(calls, pad_to, joins))
    if first.fiber.tiled and first.kind != "encode":
        with circular(first.module):
            return together()
    return together()


def compute_small(call: Call, device: torch.device) -> Any:
    """The result of one call with as little memory as it can be had: a picture is decoded tile by tile."""
    with in_tiles(call.module, on=call.kind == "decode"):
        return call.run() if device.type == "cpu" else forward([call])[0]
