"""Has workers, or everything, take no more jobs when the command line wants that, and says how workers are."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import replace

from bot.config import Settings
from bot.features.region.editor_server import Handler
from bot.features.workers import drains
from bot.features.workers.drains import Report, Wish
from bot.features.workers.page import WorkerPage
from bot.jobs.dispatcher import Dispatcher
from bot.loops import Loop
from bot.threads.pools import FILES
from engine.backend import Backend
from engine.fleet.fleet import Fleet

log = logging.getLogger(__name__)
LOOK_S = 2.0


class Workers:
    """Lets workers dial in, where that is on; looks what is to be drained, and whose token is good."""

    def __init__(self, settings: Settings, backend: Backend, dispatcher: Dispatcher) -> None:
        self._folder, self._backend, self._dispatcher = settings.data_dir, backend, dispatcher
        several = backend if isinstance(backend, Fleet) else None
        self._page = WorkerPage(several, self._folder) if settings.workers and several is not None else None
        self.loop = Loop("workers", self._turn)
        self._wish = Wish()

    def pages(self) -> Mapping[str, Handler]:
        """What the web server has for them."""
        return {} if self._page is None else {self._page.PATH: self._page.answer}

    async def start(self) -> None:
        """Drain the workers that were drained before; draining everything ends with a start."""
        wanted = await FILES.run_always(drains.wished, self._folder)
        if wanted.everything:
            wanted = replace(wanted, everything=False)
            await FILES.run_always(drains.wish, self._folder, wanted)
        self._obey(wanted)
        self.loop.start()

    async def let_go(self) -> None:
        """Let those that have dialled in go; they come back when there is a bot."""
        if self._page is not None:
            await self._page.close()

    async def _turn(self) -> None:
        if self._page is not None:
            await self._page.look()
        before = self._wish
        self._obey(await FILES.run_always(drains.wished, self._folder))
        if {before, self._wish} != {Wish()} or isinstance(self._backend, Fleet):
            await FILES.run_always(drains.tell, self._folder, self._report())
        await asyncio.sleep(LOOK_S)

    def _obey(self, wanted: Wish) -> None:
        if wanted != self._wish:
            what = ", ".join(sorted(wanted.workers)) + (" everything" if wanted.everything else "")
            log.info("to be drained: %s", what or "nothing")
        self._wish = wanted
        self._dispatcher.drain(wanted.everything)
        if isinstance(self._backend, Fleet):
            self._backend.drain(wanted.workers)

    def _report(self) -> Report:
        painting, workers = len(self._dispatcher.running), self._backend.status().workers
        return Report(at_s=time.time(), obeyed=self._wish, painting=painting, workers=workers)
