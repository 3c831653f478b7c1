"""Backups by themselves, beside the running bot."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from bot.backup import keeping
from bot.backup.archive import Aborted
from bot.config import Settings
from bot.loops import Loop
from bot.store.clock import Clock
from bot.store.errors import StoreError
from bot.threads.pools import BACKUPS

log = logging.getLogger(__name__)
LOOK_S = 60.0  # how often the clock is looked at
AGAIN_S = 3600.0  # after a failure
ABORT_S = 10.0  # what a backup that is being made gets to clean up


class BackupSchedule:
    """Makes a backup whenever one is due; in a thread of its own, so that a large one keeps nobody waiting.

    `on_failed` is told why one could not be made; it must not raise.
    """

    def __init__(self, settings: Settings, clock: Clock, on_failed: Callable[[str], Awaitable[object]]) -> None:
        self._settings, self._clock, self._on_failed = settings, clock, on_failed
        self._stopping = threading.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.loop = Loop("backups", self._serve, longest_s=math.inf)  # one that hangs is found by its pool

    def start(self) -> None:
        """Look at the clock from now on, if backups are wanted."""
        if self._settings.backup_every_hours:
            self.loop.start()

    async def stop(self) -> None:
        """Throw away a backup that is being made: the next start makes it."""
        self._stopping.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), ABORT_S)
        await self.loop.stop()

    async def once(self) -> Path | None:
        """Make a backup if one is due. Raises: StoreError, OSError, sqlite3.Error."""
        settings, now_ms = self._settings, self._clock.now_ms()
        if not keeping.is_due(settings.backups_dir, settings.backup_every_hours, now_ms):
            return None
        self._idle.clear()
        try:
            path, contents = await BACKUPS.run(
                keeping.make,
                *(settings.data_dir, settings.backups_dir, settings.backup_keep, now_ms, self._stopping.is_set),
            )
        finally:
            self._idle.set()
        log.info("backed up %d pictures into %s (%d MiB)", contents.pictures, path.name, contents.bytes >> 20)
        if contents.missing:
            log.warning("%d pictures are gone from the disk, and are not in it", len(contents.missing))
        return path

    async def _serve(self) -> None:
        wait_s = LOOK_S
        try:
            await self.once()
        except Aborted:
            log.info("a backup was thrown away half-made; the next start makes it")
        except (StoreError, OSError, sqlite3.Error) as error:
            log.exception("the backup failed; it is tried again in an hour")
            await self._on_failed(f"The backup failed: {error}")
            wait_s = AGAIN_S
        await asyncio.sleep(wait_s)
