"""A real database file, a clock that tests move, and a factory of jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from bot.jobs.records import NewImage, NewJob, StoredFile
from bot.store.clock import ManualClock
from tests.job_rows import JobRows
from tests.services import workbench


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[JobRows]:
    async with JobRows.open(tmp_path / "easel.db", clock) as store:
        yield store
        assert await store.problems() == []


@pytest.fixture
def asked() -> Callable[..., NewJob]:
    """A job as asked for, with a new interaction each time; keywords change it (or its spec)."""
    return partial(workbench.asked, width=512, height=512)


@pytest.fixture
def pictures() -> Callable[..., list[NewImage]]:
    """Pictures of a job as if their files were on disk."""

    def make(job_id: int, count: int = 4) -> list[NewImage]:
        file = [StoredFile(path=f"{job_id}-{i}.png", sha256=f"{i:064x}", bytes=9) for i in range(count)]
        return [NewImage(ordinal=i, seed=7 + i, file=file[i], width=8, height=8) for i in range(count)]

    return make
