"""How many rows a call is run with: pinned once in `exact` mode, up to the knee in `fast` mode."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from engine.device import devices
from engine.device.failures import attempt, forget
from engine.device.fibers import Call, forward
from engine.models.files.shared_table import SharedTable
from engine.runtime.policy import PAD_GAIN, BatchCurve

log = logging.getLogger(__name__)

PINS_FILE = "rows.json"


def pinned_sizes(folder: Path | None) -> SharedTable[int]:
    """Row counts that were chosen once and must not change, or a restart or another card would change pictures."""
    return SharedTable(folder / PINS_FILE if folder else None, int)


class BatchSizes:
    """Answers, for a call: how many rows may be joined, and up to how many are they padded."""

    def __init__(self, mode: str, max_rows: int, device: torch.device, pins: SharedTable[int]) -> None:
        self._mode, self._max_rows, self._device, self._pins = mode, max_rows, device, pins
        self._curves: dict[tuple[object, ...], BatchCurve] = {}
        self._names: dict[tuple[object, ...], str] = {}

    def alone(self, call: Call) -> bool:
        """Whether nobody else's rows may run with a call's own, whatever that would gain."""
        return call.strange or (self._mode == "fast" and call.kind == "denoise" and call.fiber.fragile())

    @property
    def pinned(self) -> bool:
        """Whether row counts are chosen once, and kept under a model's hash: then nothing is run without that."""
        return self._mode == "exact" and devices.gains_from_rows(self._device)

    def of(self, call: Call, hashed: Callable[[], str]) -> tuple[int, int]:
        """(most rows to join, rows to pad to; 0 = as many as there are)."""
        if call.kind == "encode":
            return call.rows, 0  # short, and cached by content
        if self._mode == "fast" and call.kind == "decode" and self._device.type == "cpu":
            return call.rows, 0  # gains nothing, and convolutions of several large rows round more than all steps do
        if self._mode == "fast":
            return self.curve(call).cap(call.rows), 0
        if not self.pinned:
            return call.rows, 0  # padding would cost as much as real rows
        count = self._pinned(call, hashed)
        return (call.rows, 0) if count <= call.rows else (count, count)

    def lower(self, call: Call, rows: int) -> None:
        """That many did not fit; remember, also for after a restart."""
        self.curve(call).lower(rows)
        name = self._names.get((call.shape, call.rows))
        if name and (self._pins.get(name) or 0) >= rows:
            self._pins.replace(name, max(call.rows, rows // 2))

    def curve(self, call: Call) -> BatchCurve:
        """What calls like it have taken."""
        return self._curves.setdefault(call.shape, BatchCurve(self._max_rows))

    def _pinned(self, call: Call, hashed: Callable[[], str]) -> int:
        place = call.shape, call.rows
        if place not in self._names:
            self._names[place] = _name(call, hashed(), self._device)
        count = self._pins.get(self._names[place])
        if count is None:
            count = measure(call, self._max_rows)
            count = self._pins.add(self._names[place], count)
            log.info("%s runs with %d rows", self._names[place], count)
        return count


def _name(call: Call, model_sha256: str, device: torch.device) -> str:
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    sizes = "x".join(map(str, call.sample.shape[1:]))
    return "/".join(
        [
            model_sha256[:16],
            type(call.module).__name__,
            call.method,
            f"{call.rows}x{sizes}",
            str(call.sample.dtype).removeprefix("torch."),
            gpu,
            torch.__version__,
        ]
    )


def measure(call: Call, limit: int) -> int:
    """The row count whose padding costs a lonely job little and brings company much: the knee of this device."""
    rows, best = call.rows, _seconds(call, call.rows)
    while rows * 2 <= limit:
        doubled = attempt(partial(_seconds, call, rows * 2))
        if isinstance(doubled, Exception):
            if not devices.is_out_of_memory(doubled):
                raise doubled
            forget(doubled)
            devices.free_cache(call.sample.device)
            break
        if 2 * best / doubled < PAD_GAIN:
            break
        rows, best = rows * 2, doubled
    return rows


def _seconds(call: Call, rows: int) -> float:
    """The faster of two runs after one that warms up."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        forward([call], pad_to=rows)
        devices.wait_for(call.sample.device)
        times.append(time.perf_counter() - started)
    return min(times[1:])
