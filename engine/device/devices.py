"""The device: which one, in which precision, with how many threads, and how its failures look."""

from __future__ import annotations

import os
import time
from typing import Any

import torch

from engine.api.errors import InvalidSetup, first_line, said_by
from engine.device import heap
from engine.device.before_torch import TORCH_WAS_HERE

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MAX_THREADS = 16  # beyond it memory bandwidth is the limit


def choose_device(name: str) -> torch.device:
    """The device of that name, after a first touch. Raises: InvalidSetup."""
    device = _named(name)
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # no driver, no such card, a build without it
        raise InvalidSetup(reason=f"{device} can't be used here ({first_line(error)}); use auto or cpu") from error
    return device


def _named(name: str) -> torch.device:
    if name != "auto":
        try:
            return torch.device(name)
        except RuntimeError:
            raise InvalidSetup(reason=f"'{name}' is no device; use auto, cpu, cuda, cuda:1 or mps") from None
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    if name != "auto":
        return DTYPES[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float32


def set_threads(wanted: int) -> int:
    """Set this thread's torch threads: what was asked, else all cores but one, which Discord needs.

    A process that loaded torch before us has chosen already, and pictures are equal bit by bit only for equal counts.
    """
    if not wanted and TORCH_WAS_HERE:
        return torch.get_num_threads()
    torch.set_num_threads(wanted or max(1, min(MAX_THREADS, cores() - 1)))
    return torch.get_num_threads()


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes(device: torch.device) -> int:
    """All the memory the device has."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 << 30


def gains_from_rows(device: torch.device) -> bool:
    """Whether a call of many rows is faster there than many calls, so that padding and waiting for company pay."""
    return device.type != "cpu"


def likes_channels_last(device: torch.device) -> bool:
    """Whether its convolutions are faster where the channels of a pixel lie side by side."""
    return device.type == "cuda"


def held_bytes(device: torch.device) -> int:
    """The device's memory that this process holds; 0 where it is the machine's own. From any thread."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else 0


def wait_for(device: Any) -> None:
    """Wait until the device has done what it was asked."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


class Stopwatch:
    """Measures what the device is asked to do from here to `stop`. A card's own events tell: it computes beside us, and
    who waited for it after every call would let it stand still while the next one is prepared.
    """

    def __init__(self, device: torch.device) -> None:
        event: Any = torch.cuda.Event
        self._device = device
        self._events = [event(enable_timing=True) for _ in range(2)] if device.type == "cuda" else []
        self._moments = [self._now(0)]

    def _now(self, event: int) -> float:
        if self._events:
            self._events[event].record(torch.cuda.current_stream(self._device))
        return time.perf_counter()

    def stop(self) -> None:
        self._moments.append(self._now(1))

    @property
    def done(self) -> bool:
        """Whether the device has come to where it was stopped."""
        return not self._events or bool(self._events[1].query())

    def seconds(self) -> float:
        """What it took, once that is known."""
        if not self._events:
            return self._moments[1] - self._moments[0]
        self._events[1].synchronize()
        return float(self._events[0].elapsed_time(self._events[1])) / 1000


def free_cache(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "cpu":
        heap.trim()


# In plain RuntimeErrors: the CPU's allocator, Metal, and cuBLAS when there's no room for its workspace
_FULL = ("can't allocate memory", "MPS backend out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether something smaller might have fitted."""
    said = said_by(error) if isinstance(error, RuntimeError) else ""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in said for words in _FULL)


def is_device_error(error: BaseException) -> bool:
    """Whether the device itself is gone, not one job's call. Nothing that runs on it can be trusted afterwards.

    Told by torch's own class, and by how its macros begin a plain RuntimeError (c10/cuda/CUDAException.h); never by
    words anywhere in a message, which may be a stranger's prompt or a file's name.
    """
    if is_out_of_memory(error) or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, torch.AcceleratorError) or said_by(error).startswith("CUDA error:")
