"""What a worker's process logs, as a line each of JSON, and how the bot logs it on. Knows no torch.

So its level, its form and what's hidden in it are those of the bot's own log, whatever a library prints when it dies.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os

log = logging.getLogger(__name__)
OWN = "engine"  # this package's loggers: they tell of nobody's prompt, at no level
MOST_BYTES = 64 << 10  # of a line that doesn't end
SAID = "%(message)s"


class LineFormatter(logging.Formatter):
    """A record as one line, its traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"level": record.levelno, "logger": record.name, "said": super().format(record)})


def level() -> int:
    """The level that a worker is to log from: the bot's own."""
    return logging.getLogger(OWN).getEffectiveLevel()


def start(level: int) -> None:
    """Log lines to standard error: this package from `level` on, libraries from there too, but never below INFO."""
    writing = logging.StreamHandler()
    writing.setFormatter(LineFormatter(SAID))
    logging.basicConfig(level=max(logging.INFO, level), handlers=[writing])
    logging.getLogger(OWN).setLevel(level)


class LogLines(asyncio.Protocol):
    """Logs on what a worker writes. Lines that no logger has written, such as a dying library's, are warnings."""

    def __init__(self, worker: str) -> None:
        self._worker, self._rest = worker, b""

    @classmethod
    async def of(cls, worker: str) -> int:
        """Listen to a new worker; where it's to write, which the caller closes once the worker has it."""
        reading, writing = os.pipe()
        await asyncio.get_running_loop().connect_read_pipe(lambda: cls(worker), os.fdopen(reading, "rb"))
        return writing

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._log(line)
        if len(self._rest) > MOST_BYTES:
            self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._log(self._rest)
        self._rest = b""

    def _log(self, line: bytes) -> None:
        text = line.decode(errors="replace").strip()
        try:
            said = json.loads(text)
            level, name, message = int(said["level"]), str(said["logger"]), str(said["said"])
        except (ValueError, TypeError, KeyError):
            level, name, message = logging.WARNING, log.name, text
        if message:
            logging.getLogger(name).log(level, "%s: %s", self._worker, message)
