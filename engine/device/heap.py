"""What an engine's process is told about its own memory: the allocator's, and Python's collector of garbage.

Knows no torch. The allocator is the GNU C library's; others are left as they are.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8  # of its malloc.h
MOST = 2**31 - 1  # bytes, as it counts them
LARGE = (1 << 30, 32 << 20)  # bytes of an allocation that has pages of its own; older ones take the second at most
SELDOM = (50_000, 1000, 1000)  # objects before the youngest are looked at; times that before the older are
_IMPORTING = threading.Lock()  # what was usual is put back by who changed it


@functools.cache
def share() -> None:
    """Have all threads allocate from one heap; the sooner, the fewer have their own.

    Heaps of threads are of 64 MiB, and what is free in one goes back to the system: all of a layer's memory after each
    layer. The engine's thread got it again as 400,000 pages a picture, which was a tenth of a processor's time.
    """
    _set(ARENA_MAX, 1)


@functools.cache
def keep() -> None:
    """Have it keep what was freed, for what is computed next, until `trim`. For who computes in it."""
    if any(_set(MMAP_THRESHOLD, size) for size in LARGE):
        _set(TRIM_THRESHOLD, MOST)


def trim() -> None:
    """Give back to the system what nobody uses: a tenth of a second, and the next picture gets it anew."""
    give_back = getattr(_library(), "malloc_trim", None)
    if give_back is not None:
        give_back(0)


def _set(option: int, value: int) -> bool:
    """Whether it took it."""
    tell = getattr(_library(), "mallopt", None)
    return tell is not None and bool(tell(option, value))


@functools.cache
def _library() -> ctypes.CDLL | None:
    """The C library, unless somebody has told it by its environment what to do."""
    told = any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ
    return None if told or sys.platform != "linux" else ctypes.CDLL(None)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """While libraries are imported: have the collector look at what came last, and seldom.

    They make hardly any garbage. It would look at all of them again and again: 0.7 s of the 4 that torch, diffusers and
    transformers take to import.
    """
    with _IMPORTING:
        usual = gc.get_threshold()
        gc.set_threshold(*SELDOM)
        try:
            yield
        finally:
            gc.set_threshold(*usual)


@functools.cache
def spare_libraries() -> None:
    """Have the collector look no more at what is there by now, once a process.

    That is what torch, diffusers and transformers are made of: 400,000 objects that stay until the end. Looking at them
    stopped every thread for 0.3 s, wherever a load or a step happened to be.
    """
    gc.freeze()
