"""The `easel` command's first step: the health check, which containers run all day, imports next to nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words == ["doctor", "--health"]:
        from bot.features.operations import heartbeat

        return heartbeat.report()
    from bot.cli import main as command_line

    return command_line.main(words)


if __name__ == "__main__":
    sys.exit(main())
