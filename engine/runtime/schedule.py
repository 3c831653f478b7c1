"""schedule: which calls run next. Starts images, picks the call whose turn it is, and what can be joined with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from engine.device.failures import attempt
from engine.device.fibers import Call
from engine.diffusion.embeddings import asks_the_same
from engine.runtime.batch_sizes import BatchSizes
from engine.runtime.job_queue import JobQueue
from engine.runtime.jobs import ImageRun, Job

log = logging.getLogger(__name__)
SMALL_LATENTS = 32 * 32  # on a processor, calls of smaller pictures take less than their share of one of many rows
STEPS = ("control", "denoise")
READY_SHARE = 2  # times the most rows of a call: so many images are kept ready, so that a call finds its company


@dataclass(frozen=True, slots=True)
class Batch:
    """Images whose parked calls run as one.

    `pad_to`: rows that it is filled up to; 0 = as many as there are. `same`: all ask for the same, which runs once.
    """

    images: Sequence[ImageRun]
    pad_to: int = 0
    same: bool = False

    @property
    def calls(self) -> list[Call]:
        return [image.call for image in self.images]

    @property
    def rows(self) -> int:
        """Rows that are computed."""
        return self.calls[0].rows if self.same else max(self.pad_to, sum(call.rows for call in self.calls))


class Schedule:
    """Answers `next` from the jobs in the queue.

    Args:
        start: begins an image; a failure to do so ends its job, and is not told here.
        joins: whether several jobs are worth keeping ready; a CPU gains little from joined rows.
    """

    def __init__(
        self, queue: JobQueue, sizes: BatchSizes, start: Callable[[ImageRun], None], *, joins: bool, max_rows: int
    ) -> None:
        self._queue, self._sizes, self._start = queue, sizes, start
        self._joins, self._max_rows = joins, max_rows

    def next(self) -> Batch | None:
        """The batch to run now; None when no image waits for a call."""
        order = self._queue.ranked()
        lead = self._lead(order)
        if lead is None:
            return None
        batch = attempt(lambda: self._batch(lead, order))
        if isinstance(batch, Exception):  # when it runs, alone, it is clear whose mistake that is
            log.warning("a call cannot be joined with others", exc_info=batch)
            return Batch([lead])
        return batch

    def _lead(self, order: Sequence[Job]) -> ImageRun | None:
        """The image whose call is next: one that only needs finishing or admitting, else the first in order."""
        if not self._joins:
            return self._first(order)
        self._start_many(order)
        parked = _parked(order)
        return next((image for image in parked if image.call.kind != "denoise"), parked[0] if parked else None)

    def _first(self, order: Sequence[Job]) -> ImageRun | None:
        for job in order:
            for image in job.images:
                if image.unstarted and self._may_start(job):
                    self._start(image)
                if image.call is not None and (found := self._first_of(self._company(image))) is not None:
                    return found
        return None

    def _first_of(self, company: Sequence[ImageRun]) -> ImageRun | None:
        """The one of them whose call is next, once all have started; None when starting one ended their job."""
        for image in company:
            if image.unstarted and self._may_start(image.job):
                self._start(image)
        parked = [image for image in company if image.call is not None]
        return next((image for image in parked if image.call.kind not in STEPS), parked[0] if parked else None)

    def _company(self, image: ImageRun) -> Sequence[ImageRun]:
        """The pictures of its request that always share its calls. Told by the request alone, not by who is there: so
        the same request gives the same bytes."""
        call: Call = image.call
        small = call.kind in STEPS and call.sample.dim() == 4 and call.sample.shape[2:].numel() <= SMALL_LATENTS
        if not (small and image.job.request.together) or image.job.parted or call.strange or call.rows > self._max_rows:
            return (image,)
        count = self._max_rows // call.rows
        first = image.index // count * count
        return image.job.images[first : first + count]

    def _may_start(self, job: Job) -> bool:
        """Whether a job may begin to use a model: nobody overtakes one that waits for room, or it would never come."""
        return bool(job.held) or not self._queue.needs_room_before(job)

    def _start_many(self, order: Sequence[Job]) -> None:
        """Have some calls' worth of images ready, and always one of the first job's."""
        live = 0
        for job in order:
            for image in job.images:
                if live >= READY_SHARE * self._max_rows:
                    return
                if image.unstarted and self._may_start(job):
                    self._start(image)
                live += image.call is not None

    def _batch(self, lead: ImageRun, order: Sequence[Job]) -> Batch:
        call: Call = lead.call
        if call.kind == "encode":
            return Batch(
                [image for image in _parked(order) if image is lead or asks_the_same(image.call, call)], same=True
            )
        if self._sizes.alone(call):
            return Batch([lead])
        if not self._joins and len(company := self._company(lead)) > 1:
            rows = call.rows * len(company)
            return Batch(joinable(lead, [image for image in company if image.call is not None], rows), rows)
        cap, pad_to = self._sizes.of(call, lead.model.hashed)
        if cap <= call.rows:
            return Batch([lead], pad_to)
        company = [image for image in _parked(order) if not self._sizes.alone(image.call)]
        return Batch(joinable(lead, company, cap), pad_to)


def joinable(lead: ImageRun, parked: Iterable[ImageRun], cap: int) -> list[ImageRun]:
    """The lead, and those whose calls can be joined with its own, in their order, up to `cap` rows in all."""
    first: Call = lead.call
    group, rows, residual = [lead], first.rows, first.residual
    for image in parked:
        call: Call = image.call
        if image is lead or rows + call.rows > cap or (call.kind, call.key) != (first.kind, first.key):
            continue
        if None in (residual, call.residual) or residual == call.residual:
            group.append(image)
            rows, residual = rows + call.rows, residual or call.residual
    return group


def _parked(order: Iterable[Job]) -> list[ImageRun]:
    return [image for job in order for image in job.images if image.call is not None]
