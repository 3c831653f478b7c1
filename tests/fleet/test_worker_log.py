"""What workers' processes log is in the bot's log: at its level, in its form, without secrets and prompts."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from fakes import asked, events_of, fleet_of, until

from bot.logging_setup import Form, handler
from engine.fleet.fleet import Fleet
from engine.fleet.log_lines import MOST_BYTES, LogLines
from engine.fleet.process import WorkerSpec
from engine.wire.messages import Setup

ROOT = Path(__file__).parents[2]
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(params=["text", "json"])
def written(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[StringIO]:
    form: Form = request.param
    writing, out = handler(form), StringIO()
    writing.setStream(out)
    logging.getLogger().addHandler(writing)
    yield out
    logging.getLogger().removeHandler(writing)


async def test_a_worker_logs_from_the_bots_level_on(written: StringIO, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "engine")
    async with fleet_of(1) as fleet:
        await events_of(fleet.submit(asked(3)))
        await until(lambda: "the worker is a fake engine" in written.getvalue())
    assert "fake-1: the worker is a fake engine" in written.getvalue()
    assert "red boat" not in written.getvalue()
    written.truncate(0)
    caplog.set_level(logging.INFO, "engine")
    async with fleet_of(1) as fleet:
        await events_of(fleet.submit(asked(3)))
    assert "fake engine" not in written.getvalue()


async def test_why_a_worker_cant_start_is_told_in_the_bots_form(
    written: StringIO, request: pytest.FixtureRequest
) -> None:
    """Python prints that itself, past every logger."""
    setup = Setup(engine="fake", options={"no_such_option": TOKEN})
    async with Fleet([WorkerSpec(name="odd", setup=setup)]):
        await until(lambda: "no_such_option" in written.getvalue())
    assert "WARNING" in written.getvalue()
    assert TOKEN not in written.getvalue()
    if "json" in request.node.name:
        assert all("odd: " in json.loads(line)["message"] or "is gone" in line for line in lines_of(written))


def lines_of(written: StringIO) -> list[str]:
    return [line for line in written.getvalue().splitlines() if '"engine.' in line]


async def test_a_traceback_stays_one_record_and_a_line_without_end_is_cut(written: StringIO) -> None:
    script = (
        "import logging, sys\n"
        "from engine.fleet import log_lines\n"
        "log_lines.start(logging.INFO)\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: logging.getLogger('engine.test').exception('it failed')\n"
        "logging.getLogger('a.library').debug('a payload')\n"
        "sys.stderr.write('x' * 500_000 + '\\n[1, 2]\\nno end')\n"
    )
    writing = await LogLines.of("card")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stderr=writing, env=environment)
    os.close(writing)
    await until(lambda: "no end" in written.getvalue())
    assert await process.wait() == 0
    said = written.getvalue()
    assert "card: it failed" in said
    assert "ZeroDivisionError" in said
    assert "a payload" not in said
    assert max(map(len, said.splitlines())) < 4 * MOST_BYTES
    assert said.count("x" * 10) > 49_900
    assert "card: [1, 2]" in said
