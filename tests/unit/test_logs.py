"""No secret and no prompt is ever logged, at any level, in either form."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest

from bot.logging_setup import Form, SecretFilter, handler

ROOT = Path(__file__).parents[2]
REPLY_TOKEN = "aW50ZXJhY3Rpb246MTIzNDU2Nzg5MDEyMzQ1Njc4OTpTZWNyZXQ"
BOT_TOKEN = "MTA1NjU0MzIxMDk4NzY1NDMy.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789ab"
Log = Callable[..., str]


@pytest.fixture(params=["text", "json"])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    """Log one record through a logger of a name, everything being asked for; what is written."""
    form: Form = request.param
    loggers: list[tuple[logging.Logger, logging.Handler]] = []

    def write(name: str, level: int, message: str, *args: object, known: tuple[str, ...] = (), **more: object) -> str:
        logger, writing = logging.getLogger(name), handler(form, known)
        writing.setStream(StringIO())
        logger.setLevel(logging.DEBUG)
        logger.addHandler(writing)
        loggers.append((logger, writing))
        logger.log(level, message, *args, **more)  # type: ignore[arg-type]
        return str(writing.stream.getvalue())

    yield write
    for logger, writing in loggers:
        logger.removeHandler(writing)
        logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("message", "secret"),
    [
        (f"PATCH https://discord.com/api/v10/webhooks/123/{REPLY_TOKEN}/messages/@original", REPLY_TOKEN),
        ("PATCH /webhooks/123/abcdefghijklmnopqrstuvwxyz012345/messages/5", "abcdefghijklmnopqrstuvwxyz012345"),
        (f"{{'token': '{REPLY_TOKEN}'}}", REPLY_TOKEN),
        (f"token {BOT_TOKEN}", BOT_TOKEN),
        ("GET /mask/Zm9vYmFyYmF6cXV4cXV1eA_x1 failed", "Zm9vYmFyYmF6cXV4cXV1eA_x1"),
        ("HF_TOKEN is hf_abcdefghijklmnopqrstuvwxyz", "hf_abcdefghijklmnopqrstuvwxyz"),
    ],
)
def test_tokens_are_taken_out_of_messages_and_tracebacks(log: Log, message: str, secret: str) -> None:
    try:
        raise ValueError(message)
    except ValueError:
        shown = log("bot.test", logging.ERROR, "failed: %s", message, exc_info=True)
    assert "failed" in shown
    assert "ValueError" in shown
    assert secret not in shown
    assert secret[-20:] not in shown


def test_a_known_secret_is_hidden_whatever_it_looks_like(log: Log) -> None:
    assert "opensesame" not in log("bot.test", logging.INFO, "it is %s", "opensesame", known=("opensesame", ""))


@pytest.mark.parametrize("name", ["discord.gateway", "discord.http", "aiosqlite", "aiohttp.client", "hpack", "botany"])
def test_what_libraries_say_of_payloads_is_left_out(log: Log, name: str) -> None:
    assert log(name, logging.DEBUG, "WebSocket Event: %s", {"prompt": "a red boat"}) == ""
    assert "connected" in log(name, logging.INFO, "connected")


def test_easels_own_debugging_is_written(log: Log) -> None:
    assert "job 7 was claimed" in log("bot.jobs.dispatcher", logging.DEBUG, "job %d was claimed", 7)


def test_json_is_one_object_a_line() -> None:
    writing = handler("json")
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("bot.x", logging.WARNING, __file__, 1, "a\nboat: %s", ("🙂",), info)
    line = writing.format(record)
    assert "\n" not in line
    said = json.loads(line)
    assert list(said) == ["time", "level", "logger", "message", "exception"]
    assert (said["level"], said["logger"], said["message"]) == ("WARNING", "bot.x", "a\nboat: 🙂")
    assert said["exception"].endswith("two\nlines")


def test_text_is_readable() -> None:
    record = logging.LogRecord("bot.x", logging.INFO, __file__, 1, "ready", (), None)
    assert SecretFilter().format(record).endswith("INFO bot.x: ready")


def test_diffusers_does_not_repeat_prompts_that_are_too_long() -> None:
    """It warns of what it cuts off, to standard error, past our log."""
    script = (
        "from bot.__main__ import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "from diffusers.utils import logging\n"
        "logging.get_logger('diffusers.pipelines.flux').warning('was truncated: a red boat')\n"
        "logging.get_logger('diffusers.pipelines.flux').error('an error')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "DIFFUSERS_VERBOSITY": "info"}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert "an error" in done.stderr
    assert "a red boat" not in done.stderr
