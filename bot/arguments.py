"""The arguments of `easel admin`, apart from what they do, so that reading them imports nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_admin(command: argparse.ArgumentParser) -> None:
    """Add the subcommands of `easel admin`."""
    topics = command.add_subparsers(dest="topic", required=True, metavar="WHAT")
    grant = _topic(topics, "grant", "Give somebody credits that do not expire.")
    grant.add_argument("user", type=int, help="Discord id of the person")
    grant.add_argument("credits", type=float, help="how many, such as 50 or 0.5")
    grant.add_argument("--guild", type=int, default=0, help="for use in this server only (default: everywhere)")
    grant.add_argument("--reason", default="granted", help="what their /credits say")
    grant.add_argument("--key", help="the same key counts once, however often the command is run")
    ban = _topic(topics, "ban", "Keep somebody from using Easel; without a person, list who is banned.")
    ban.add_argument("user", type=int, nargs="?", help="Discord id of the person")
    ban.add_argument("--guild", type=int, default=0, help="in this server only (default: everywhere)")
    ban.add_argument("--reason", default="", help="what they read")
    ban.add_argument("--until", default="", help="12h, 7d, 2w or a day such as 2027-01-31 (default: for good)")
    ban.add_argument("--lift", action="store_true", help="let them come back instead")
    log = _topic(topics, "audit", "Print the audit log, newest first.")
    for name, kind in (("guild", int), ("actor", int), ("action", str), ("target", str), ("text", str)):
        log.add_argument(f"--{name}", type=kind, help="only entries with it")
    log.add_argument("--limit", type=int, default=50, help="how many (default: 50)")
    log.add_argument("--csv", type=Path, help="write them to this file instead")
    numbers = _topic(topics, "stats", "Print what happened: pictures, members, times, credits, refusals.")
    numbers.add_argument("--guild", type=int, help="of this server only")
    numbers.add_argument("--days", type=int, default=30, help="how many, today included (default: 30)")
    numbers.add_argument("--csv", type=Path, help="write a table for each day to this file")
    numbers.add_argument("--png", type=Path, help="write a chart to this file")
    export = _topic(topics, "export", "Write everything that is kept about somebody into a ZIP file.")
    export.add_argument("user", type=int, help="Discord id of the person")
    export.add_argument("--out", type=Path, required=True, help="the file to write")


def _topic(
    topics: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help_text: str
) -> argparse.ArgumentParser:
    return topics.add_parser(name, help=help_text, description=help_text, allow_abbrev=False)
