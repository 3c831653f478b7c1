"""What a worker does on its own machine, whoever has started it: build an engine, and paint with it for a bot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.config import Settings, engine_for
from engine.fleet.machines import dialing


async def paint(
    settings: Settings, address: str, token: str, leaving: asyncio.Event, ready: Callable[[], None] | None = None
) -> None:
    """Serve the bot at an address until `leaving` is set and what was begun by then is done. Raises: EngineError.

    `ready` is called once there is an engine, before anybody is dialled.
    """
    engine = engine_for(settings)
    await engine.start()
    if ready is not None:
        ready()
    try:
        await dialing.join(address, token, engine, leaving, settings.shutdown_grace_s)
    finally:
        await engine.close()
