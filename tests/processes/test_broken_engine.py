"""An engine or an event loop that stands still ends a real process with a code that has it started again."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from fake_discord import FakeDiscord

from bot.features.operations import heartbeat
from bot.process import FAILED
from bot.store.clock import SystemClock
from tests.job_rows import JobRows
from tests.services.workbench import asked

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals as systems send them")
HOLDS = """
import asyncio, ctypes
from bot import process

async def work(stopping):
    async with process.ending_if_it_hangs():
        await asyncio.sleep(1)  # several signs of life
        print("alive", flush=True)
        ctypes.PyDLL(None).sleep(3600)  # which never lets another thread run Python

process.HANGS_S, process.ALIVE_S = 4.0, 0.1
process.run(work)
"""


async def started(folder: Path, *command: str) -> asyncio.subprocess.Process:
    env = {key: value for key, value in os.environ.items() if not key.startswith("EASEL_")}
    chosen = {"EASEL_TOKEN": "good.token.here", "EASEL_DATA_DIR": str(folder / "data"), "EASEL_MIN_FREE_MIB": "0"}
    chosen |= {"EASEL_SHUTDOWN_GRACE_S": "1", "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    pipe = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
    return await asyncio.create_subprocess_exec(sys.executable, *command, env=env | chosen, cwd=folder, **pipe)


async def breaks(folder: Path, url: str, how: str) -> str:
    """Run until it ends by itself; what it said."""
    process = await started(folder, str(HERE / "broken_engine.py"), url, how)
    async with asyncio.timeout(400):
        said = (await process.communicate())[0].decode()
    assert process.returncode == FAILED, said
    return said


def row(folder: Path) -> tuple[str, int]:
    with closing(sqlite3.connect(folder / "data" / "easel.db")) as db:
        return db.execute("SELECT state, attempts FROM job").fetchone()  # type: ignore[no-any-return]


async def test_an_engine_that_ends_or_hangs_is_begun_anew_and_its_job_kept(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    async with JobRows.open(tmp_path / "data" / "easel.db", SystemClock()) as rows:
        await rows.enqueue(asked(num_images=1, reply_token=""), 10**6)
    async with FakeDiscord() as world:
        assert "(its thread has ended). Start Easel again" in await breaks(tmp_path, world.url, "ends")
        said = await breaks(tmp_path, world.url, "hangs")
        assert "nothing was painted for" in said
        assert "The engine has stood still" in said
        assert not heartbeat.read(tmp_path / "data")[0]
        assert row(tmp_path) == ("running", 2), "the next start takes it up, and counts"
    async with JobRows.open(tmp_path / "data" / "easel.db", SystemClock()) as rows:
        assert len((await rows.recover("the next start")).requeued) == 1
        assert (await rows.balance(10, 1, 10**6)).reserved_mc == 4000


async def test_an_event_loop_that_stands_still_ends_the_process(tmp_path: Path) -> None:
    process = await started(tmp_path, "-c", HOLDS)
    async with asyncio.timeout(200):
        said = (await process.communicate())[0].decode()
    assert process.returncode == FAILED
    assert said.startswith("alive")
    assert "in work" in said, "where it stood"
