"""Waiting for whichever comes first, by the injected clock, and for a database that can be written."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.store.clock import Clock

T = TypeVar("T")
log = logging.getLogger(__name__)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0  # between tries to write
LONGEST_WAIT_S = 30.0  # the wall clock may jump: look again after this, whatever it said


def seconds_until(clock: Clock, at_ms: int | None) -> float:
    """Seconds to wait for a moment (epoch ms); None = nothing is planned."""
    if at_ms is None:
        return LONGEST_WAIT_S
    return min(LONGEST_WAIT_S, max(0.0, (at_ms - clock.now_ms()) / 1000))


async def first_of(*waits: Awaitable[object], timeout_s: float) -> None:
    """Return when one of them is done or the time is up. Tasks go on; bare coroutines are cancelled."""
    futures = [(asyncio.ensure_future(wait), wait) for wait in waits]
    try:
        await asyncio.wait([future for future, _ in futures], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future, wait in futures:
            if future is not wait:
                future.cancel()


async def until_written(write: Callable[[], Awaitable[T]]) -> T:
    """Write until it is written: a full disk and a locked database pass, and what was done must not be lost to them.

    Raises: whatever else `write` raises.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await write()
        except sqlite3.OperationalError as error:
            log.warning("the database can't be written (%s); it is tried again in %.0f s", error, pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
