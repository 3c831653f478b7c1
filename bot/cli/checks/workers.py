"""The workers of the bot that runs in the data folder, as it says itself; nothing where none runs."""

from __future__ import annotations

from collections.abc import Iterator

from bot.cli.checks.finding import Check
from bot.config import Settings
from bot.features.workers import drains, views


def workers(settings: Settings) -> Iterator[Check]:
    """How each of them is: what it holds, does and failed at."""
    report = drains.told(settings.data_dir)
    for worker in report.workers if report is not None else ():
        well = worker.up and not worker.drained
        yield Check(f"worker {worker.name}", "ok" if well else "note", f"{views.line(worker)}.")
