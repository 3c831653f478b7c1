"""What Ray Serve runs on a cluster's machines: a worker a replica. `serve_api` has it imported there; needs Ray.

Serve starts, watches and ends replicas, and no request ever comes through it: each dials in to the bot, as every worker
does. What it paints with is set by the `EASEL_` variables of its own machine.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from bot import logging_setup
from bot.config import Settings
from bot.features.workers import painter

ELSEWHERE = {"engine": "", "workers": False, "engines": {}}  # of a bot that has the same settings


class Replica:
    """One worker."""

    def __init__(self, address: str, token: str) -> None:
        settings = Settings.load(_env_file=None, **ELSEWHERE)
        self._settings = settings if settings.device != "none" else settings.model_copy(update={"device": "auto"})
        self._address, self._token, self._leaving = address, token, asyncio.Event()
        self._painting = asyncio.create_task(self._paint())

    async def _paint(self) -> None:
        await painter.paint(self._settings, self._address, self._token, self._leaving)

    async def check_health(self) -> None:
        """Called by Serve, which ends this replica and starts another when it raises."""
        if self._painting.done():
            self._painting.result()
            raise RuntimeError("it paints no more")

    async def end(self) -> None:
        """Take no more jobs, and return once what was begun is done."""
        self._leaving.set()
        with suppress(Exception):  # an outer edge: why it painted no more was said by `check_health`
            await self._painting


class Served(Replica):
    """One in a process that Serve has started."""

    def __init__(self, address: str, token: str) -> None:
        super().__init__(address, token)
        logging_setup.start(self._settings.log_level, self._settings.log_format, [token])

    async def __del__(self) -> None:
        """Called and awaited by Serve when this replica is to end."""
        await self.end()


def app(args: dict[str, str]) -> Any:
    """The `serve.Application` of these arguments, as `serve_api.application` writes them."""
    from ray import serve  # only where it runs

    return serve.deployment(name="worker")(Served).bind(args["address"], args["token"])
