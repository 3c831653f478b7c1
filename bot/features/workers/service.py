"""Lets workers in or has a cluster start them, drains what the command line wants, and says how workers are."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from bot.config import Settings
from bot.features.region.editor_server import Handler
from bot.features.workers import drains
from bot.features.workers.cluster import cluster as clusters
from bot.features.workers.cluster.cluster import Cluster
from bot.features.workers.cluster.scaling import Load
from bot.features.workers.cluster.serve_api import ServeApi
from bot.features.workers.cluster.way_in import way_in
from bot.features.workers.drains import Report, Wish
from bot.features.workers.page import WorkerPage
from bot.jobs.dispatcher import Dispatcher
from bot.loops import Loop
from bot.threads.pools import FILES
from engine.backend import Backend
from engine.fleet.fleet import Fleet
from engine.fleet.machines.ray_address import RayAddress
from engine.wire.messages import PROTOCOL

log = logging.getLogger(__name__)
LOOK_S = 2.0


class Workers:
    """Lets workers dial in, where that is on; looks what is to be drained, and whose token is good."""

    def __init__(
        self, settings: Settings, backend: Backend, dispatcher: Dispatcher, alert: Callable[[str], Awaitable[object]]
    ) -> None:
        self._folder, self._backend, self._dispatcher = settings.data_dir, backend, dispatcher
        self._settings = settings
        several = backend if isinstance(backend, Fleet) else None
        self._page = WorkerPage(several, self._folder) if settings.lets_workers_in and several is not None else None
        self.cluster = _cluster(settings, several, alert) if settings.engine and several is not None else None
        self.loop = Loop("workers", self._turn)
        self.loops = (self.loop, self.cluster.loop) if self.cluster is not None else (self.loop,)
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

    async def door_opened(self, port: int) -> None:
        """The web server listens there: what a cluster starts may dial in. Raises: BadInput, OSError."""
        if self.cluster is not None:
            address, settings = self.cluster.address, self._settings
            join = way_in(settings.web_address, settings.web_host, port, address.url)
            self.cluster.start(join, await clusters.token_for(self._folder, address.name))

    async def let_go(self) -> None:
        """Let those that have dialled in go; they come back when there is a bot."""
        if self.cluster is not None:
            await self.cluster.stop()
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


def _cluster(settings: Settings, fleet: Fleet, alert: Callable[[str], Awaitable[object]]) -> Cluster:
    address = RayAddress.parse(settings.engine)
    api = ServeApi(address.url, settings.ray_token.get_secret_value().strip())

    def load() -> Load:
        return Load(jobs=len(fleet.jobs), work_s=fleet.left_s(), known=len(fleet.models()))

    return Cluster(address, api, load, alert, grace_s=settings.shutdown_grace_s, protocol=PROTOCOL)
