"""The open database: the one door through which services read and write. Knows no table and no Discord.

Every write is one transaction and counts once it returns (also after a power loss).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from bot.store import key_values, secure_erase
from bot.store.clock import Clock, SteadyClock
from bot.store.connection import Reader, Writer, open_reader, open_writer
from bot.store.errors import unusable
from bot.store.lock import directory_lock, forget_end, note_end
from bot.store.migrations import backup, migrate, problems
from bot.threads.pools import FILES

P = ParamSpec("P")
T = TypeVar("T")
LAST_SEEN = "last seen"  # note: when a process ran, to the minute


class Store:
    """The open database. Make it with `Store.open`; one process, one event loop.

    Attributes:
        ended_well: the process before closed it in order. Else everything on the disk has to be looked at.
    """

    def __init__(self, writer: Writer, reader: Reader, clock: Clock, *, ended_well: bool = False) -> None:
        self._writer, self._reader, self._clock, self.ended_well = writer, reader, clock, ended_well

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, clock: Clock) -> AsyncIterator[Store]:
        """Lock the data directory, migrate, check, connect.

        Raises: StoreError: every kind that says why it cannot be opened.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(directory_lock(path.parent))
            ended_well = await asyncio.to_thread(_forget_end, path)
            await asyncio.to_thread(partial(migrate, path, clock.now_ms(), whole=ended_well))
            stack.callback(_note_end, path)
            writer = await stack.enter_async_context(open_writer(path))
            reader = await stack.enter_async_context(open_reader(path))
            store = cls(writer, reader, clock, ended_well=ended_well)
            if isinstance(clock, SteadyClock) and (last_ms := await store.read(key_values.recall, LAST_SEEN)):
                clock.resume(int(last_ms))
            yield store

    async def write(self, fn: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one function of a `store` module in a transaction; returns once it is on disk."""
        return await self._writer.run(lambda db: fn(db, *args, **kwargs))

    async def read(self, fn: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one function of a `store` module on a snapshot."""
        return await self._reader.run(lambda db: fn(db, *args, **kwargs))

    async def note_time(self) -> None:
        """Note that it's now: the next process is to know a clock that jumped meanwhile."""
        await self.write(key_values.remember, LAST_SEEN, str(self._clock.now_ms()))

    async def problems(self) -> list[str]:
        """Rows of the `bad_*` views, which must stay empty: what `easel doctor` prints."""
        return await self.read(problems)

    async def backup(self, target: Path) -> None:
        """Write a consistent copy, also under load."""
        await FILES.run_always(backup, self._writer.path, target)

    async def empty_log(self) -> None:
        """Take what was deleted out of the write-ahead log, unless somebody is reading there just now."""
        await self._writer.run_alone(secure_erase.empty_log)

    async def overwrite(self) -> None:
        """Overwrite what deleting left in the database's files.

        Other writes wait meanwhile: 117 MiB of database took 5 s on two busy cores.
        """
        await self._writer.run_alone(secure_erase.overwrite)

    async def drop_backups_with(self, user_id: int) -> None:
        """Remove the copies that migrations made that hold this person."""
        await FILES.run_always(secure_erase.drop_backups_with, self._writer.path, user_id)

    async def drop_backups(self, before_ms: int) -> None:
        """Remove the copies that migrations made before `before_ms`."""
        await FILES.run_always(secure_erase.drop_backups_before, self._writer.path, before_ms)


def _forget_end(path: Path) -> bool:
    try:
        return forget_end(path)
    except OSError as error:
        raise unusable(path.parent, error) from error


def _note_end(path: Path) -> None:
    with suppress(OSError):  # a full disk, say: the next start looks at everything
        note_end(path)
