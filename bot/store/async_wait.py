"""Waiting for whichever comes first, by the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from bot.store.clock import Clock

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
