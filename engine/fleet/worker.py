"""A worker's process: `python -m engine.fleet.worker FD LEVEL`. It lives as long as the socket to the bot, which is FD.

The first message says which engine to be. Ctrl-C and SIGTERM, which reach every process of a service, are the bot's
business: it lets jobs finish, then closes the socket.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from engine.backend import Backend
from engine.device import heap
from engine.fake import FakeEngine
from engine.fleet import log_lines
from engine.fleet.serving import Serving
from engine.runtime.engine import Engine
from engine.vision.options import VisionOptions
from engine.wire.links import Gone, Link, SocketWire
from engine.wire.messages import Setup

log = logging.getLogger("engine.fleet.worker")  # by that name it would be __main__


def engine_of(setup: Setup) -> Backend:
    """The engine that a setup describes. Raises: EngineError for what is vital."""
    options: Mapping[str, Any] = setup.options
    if setup.engine == "fake":
        return FakeEngine(**options)
    sight = dict(options["sight"])
    looking = VisionOptions(**sight | {"unsafe_labels": tuple(sight["unsafe_labels"])})
    return Engine(**{**options, "sight": looking})


async def _serve(handle: int) -> None:
    link = Link(await SocketWire.over(socket.socket(fileno=handle)), "raw")
    try:
        setup = await link.receive()
    except Gone:
        return
    assert isinstance(setup, Setup), "the bot says first what to be"
    engine = engine_of(setup)
    log.debug("the worker is a %s engine", setup.engine)
    await engine.start()
    await Serving(engine, link).run()
    await engine.close()


def main() -> None:
    """Serve the bot until it is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    heap.share()
    handle, level = map(int, sys.argv[1:])
    log_lines.start(level)
    asyncio.run(_serve(handle))
    logging.shutdown()
    os._exit(0)  # a thread of a library may hang, and everything that counts is the bot's


if __name__ == "__main__":
    main()
