"""The `easel` command's first step: the health check, which containers run all day, imports next to nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn


def run(argv: Sequence[str] | None = None) -> NoReturn:
    """The installed command: run one subcommand and end the process with its exit code.

    At once, for threads may be in the middle of a step or a load: torch aborts the process when one comes back while
    Python takes itself apart. What counts is on disk by now.
    """
    code = main(argv)
    with suppress(OSError):  # nobody reads any more
        sys.stdout.flush()
    os._exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words == ["doctor", "--health"]:
        from bot.features.operations import heartbeat

        return heartbeat.report()
    from bot.cli import main as command_line
    from engine.device import heap

    heap.share()
    return command_line.main(words)


if __name__ == "__main__":
    run()
