"""One's own data: all of it as files to keep, or gone for good. Also servers that left, and what is too old.

Knows no Discord.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bot.errors import Busy, NotFound
from bot.features.privacy import personal_data
from bot.features.privacy import store as privacy_store
from bot.features.privacy.store import Forgotten
from bot.features.privacy.zip_archive import Archive, Entry
from bot.jobs.dispatcher import Dispatcher
from bot.jobs.files import ImageFiles
from bot.jobs.service import Jobs
from bot.languages.speech import N_, _
from bot.store import users
from bot.store.clock import DAY_MS, Clock
from bot.store.store import Store

log = logging.getLogger(__name__)
ROWS_A_FILE = 2000
README = N_(
    """All the data this Easel has about you, as of {when} (UTC, milliseconds since 1970 in the tables).

data/      one JSON file for each table; jobs hold your prompts, transfers your credits (1000 = one credit)
images/    the images that were made for you, by job and number
uploads/   the images you uploaded
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """What was forgotten of a person."""

    jobs: int
    files: int


class Privacy:
    """Export and erasure.

    Attributes:
        before, after: called with whoever is about to be forgotten, and then with who was: for what is kept elsewhere,
            in messages and in memory.
    """

    def __init__(self, store: Store, jobs: Jobs, files: ImageFiles, dispatcher: Dispatcher, clock: Clock) -> None:
        self._store, self._jobs, self._files, self._dispatcher = store, jobs, files, dispatcher
        self._clock = clock
        self.before: list[Callable[[int], Awaitable[None]]] = []
        self.after: list[Callable[[int], None]] = []
        self._one_at_a_time = asyncio.Lock()

    async def export(self, user_id: int, limit_bytes: int) -> Archive:
        """Everything of a person, as ZIP files of at most `limit_bytes` each. Raises: NotFound."""
        person = await self._store.read(users.find, user_id)
        if person is None:
            raise NotFound("Easel has no data about you.")
        tables = await self._store.read(personal_data.export, person, user_id)
        return Archive(entries_of(tables, self._now()), self._files, limit_bytes)

    async def forget(self, user_id: int) -> Farewell:
        """Forget a person: jobs on their way are cancelled first, then every word, picture and file goes.

        Once it began it is finished, also by a later process. Raises: Busy when that has to wait.
        """
        await self._store.write(privacy_store.ask_erasure, user_id, self._now())
        try:
            return await self._erase(user_id)
        except (OSError, sqlite3.Error) as error:
            log.warning("an erasure was interrupted; it goes on in a minute", exc_info=True)
            raise Busy("Something got in the way just now. Easel goes on deleting by itself within minutes.") from error

    async def finish_erasures(self) -> None:
        """Forget everybody who asked for it and isn't forgotten yet."""
        for user_id in await self._store.read(privacy_store.unfinished_erasures):
            await self._erase(user_id)

    async def _erase(self, user_id: int) -> Farewell:
        async with self._one_at_a_time:
            for withdraw in self.before:
                await withdraw(user_id)
            gone = await self._forget_person(user_id)
            for forget in self.after:
                forget(user_id)
            await self._store.write(privacy_store.erased, user_id)
        log.info("a person was forgotten: %d jobs, %d files", gone.jobs, gone.files)
        return gone

    async def _forget_person(self, user_id: int) -> Farewell:
        active = await self._store.read(privacy_store.active_jobs, user_id)
        for job_id in active:
            await self._jobs.cancel(job_id, user_id)
        await self._dispatcher.ended(active)
        jobs, files = await self._forget_jobs(
            lambda: self._store.write(privacy_store.forget_jobs_of, user_id, self._now())
        )
        files += await self._store.write(privacy_store.forget_person, user_id, self._now())
        await self._jobs.remove_ended_files()
        await self._store.drop_backups_with(user_id)
        await self._store.empty_log()
        return Farewell(jobs=jobs, files=files)

    async def overwrite_traces(self) -> None:
        """Write the database anew if something was deleted; when nobody waits for a job, or after a day."""
        since_ms, now_ms = await self._store.read(privacy_store.traces_since_ms), self._now()
        if since_ms is None or (now_ms - since_ms < DAY_MS and await self._jobs.pending()):
            return
        await self._store.overwrite()
        await self._store.write(privacy_store.traces_overwritten, now_ms)

    async def forget_guild(self, guild_id: int) -> None:
        """Forget a server that left."""
        await self._forget_jobs(lambda: self._store.write(privacy_store.forget_jobs_in, guild_id, self._now()))
        await self._store.write(privacy_store.forget_guild, guild_id, self._now())

    async def forget_before(self, before_ms: int) -> int:
        """Forget the jobs that ended before `before_ms`; how many."""
        jobs, _ = await self._forget_jobs(
            lambda: self._store.write(privacy_store.forget_jobs_before, before_ms, self._now())
        )
        await self._store.drop_backups(before_ms)
        return jobs

    async def _forget_jobs(self, portion: Callable[[], Awaitable[Forgotten]]) -> tuple[int, int]:
        """Forget portion after portion, files included, until none is left; how many jobs and files."""
        jobs = files = 0
        while (gone := await portion()).jobs:
            await self._jobs.remove_ended_files()
            jobs, files = jobs + gone.jobs, files + gone.files
        return jobs, files

    def _now(self) -> int:
        return self._clock.now_ms()


def entries_of(tables: dict[str, list[dict[str, Any]]], now_ms: int) -> list[Entry]:
    """The files of an export, from what `holdings.export` gave."""
    return [Entry(name="README.txt", data=_(README, when=now_ms).encode()), *_tables(tables), *_pictures(tables)]


def _tables(tables: dict[str, list[dict[str, Any]]]) -> Iterator[Entry]:
    """The rows as JSON, in files that are small enough to be sent."""
    for table, rows in tables.items():
        for start in range(0, len(rows) or 1, ROWS_A_FILE):
            part = f"-{start // ROWS_A_FILE + 1}" if len(rows) > ROWS_A_FILE else ""
            text = json.dumps(rows[start : start + ROWS_A_FILE], indent=1, ensure_ascii=False)
            yield Entry(name=f"data/{table}{part}.json", data=text.encode("utf-8", "replace"))


def _pictures(tables: dict[str, list[dict[str, Any]]]) -> Iterator[Entry]:
    for row in tables["image"]:
        name = f"images/job-{row['job_id']}-{row['role']}-{row['ordinal'] + 1}.{row['mime'].rsplit('/', 1)[-1]}"
        yield Entry(name=name, path=row["rel_path"])
    for row in tables["input_image"]:
        yield Entry(name=f"uploads/{row['sha256']}.png", path=row["rel_path"])
