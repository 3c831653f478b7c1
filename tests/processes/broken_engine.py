"""`easel run` with an engine that breaks at its first step, and patience that is over in seconds.

Run: `python broken_engine.py URL ends|hangs`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import discord

from bot import loops
from bot.__main__ import run as easel
from bot.features.operations import looks, watch
from bot.jobs import dispatcher
from engine.runtime import worker

FOR_EVER_S = 3600


def ends() -> None:
    """End the thread: nobody catches this."""
    raise SystemExit


def hangs() -> None:
    looks.STANDS_S["cpu"] = 0.5  # not before: reading a model takes seconds
    threading.Event().wait(FOR_EVER_S)


def at_the_first_step(breaks: Callable[[], None]) -> None:
    run = worker.Runner.run

    def broken(self: Any, batch: Any) -> Any:
        breaks()
        return run(self, batch)

    worker.Runner.run = broken  # type: ignore[method-assign]


if __name__ == "__main__":
    discord.http.Route.BASE = sys.argv[1].rstrip("/")
    loops.LOOK_S = looks.LOOK_S = watch.LOOK_S = 0.5
    dispatcher.CANCEL_S = 0.5
    at_the_first_step({"ends": ends, "hangs": hangs}[sys.argv[2]])
    easel(["run"])
