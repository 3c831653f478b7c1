"""Choose which parked calls are run together, and run them on the device, in the ways a group can need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from engine.device import devices
from engine.device.fibers import Call, forward
from engine.diffusion.tiling import circular, in_tiles
from engine.runtime.jobs import ImageRun


def select_batch(lead: ImageRun, parked: Iterable[ImageRun], cap: int) -> list[ImageRun]:
    """The lead, and those whose calls can be joined with its own, in their order, up to `cap` rows in all."""
    first: Call = lead.call
    group, rows, residual = [lead], first.rows, first.residual
    for painting in parked:
        call: Call = painting.call
        if painting is lead or rows + call.rows > cap or (call.kind, call.key) != (first.kind, first.key):
            continue
        if None in (residual, call.residual) or residual == call.residual:
            group.append(painting)
            rows, residual = rows + call.rows, residual or call.residual
    return group


def run(calls: Sequence[Call], pad_to: int, device: torch.device) -> list[Any]:
    """The results of calls of one key, in their order; a single one on a CPU runs just as its pipeline asked."""
    first = calls[0]
    alone = len(calls) == 1 and not pad_to and (device.type == "cpu" or first.strange)
    together: Callable[[], list[Any]] = (lambda: [first.run()]) if alone else (lambda: forward(calls, pad_to))
    if first.fiber.tiled and first.kind != "encode":
        with circular(first.module):
            results = together()
    else:
        results = together()
    devices.wait_for(device)
    return results


def run_small(call: Call, device: torch.device) -> Any:
    """The result of one call with as little memory as it can be had: a picture is decoded tile by tile."""
    with in_tiles(call.module, on=call.kind == "decode"):
        return call.run() if device.type == "cpu" else forward([call])[0]
