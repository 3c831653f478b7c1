"""`easel drain`: have a worker, or everything, take no more jobs, and wait until it has finished what it has begun."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bot.config import Settings
from bot.errors import BadInput, NotFound
from bot.features.workers import drains, views
from bot.features.workers.drains import Report, Wish
from engine.backend import WorkerStatus

LOOK_S = 0.5
OBEYED_S = 15.0  # a running bot looks every few seconds
ONE = "This bot has one engine, in its own process. Drain everything: easel drain --all"
ALL_DONE = (
    "Nothing is being painted. What is queued waits until Easel is started again, or until: easel drain --all --undo"
)
STOPPED = "No Easel is running in {}, so there is nothing to drain."


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Carry out what was asked. Raises: UserError."""
    folder, names = settings.data_dir, frozenset(args.names)
    if not names and not args.all:
        print("\n".join(_lines(drains.told(folder))) or STOPPED.format(folder))
    elif args.undo:
        _undo(folder, names, everything=args.all)
    else:
        _drain(folder, names, everything=args.all)
    return 0


def _drain(folder: Path, names: frozenset[str], *, everything: bool) -> None:
    _check_names(drains.told(folder), names)
    before = drains.wished(folder)
    wanted = Wish(everything=before.everything or everything, workers=before.workers | names)
    drains.wish(folder, wanted)
    if (report := _obeyed(folder, wanted)) is None:
        drains.wish(folder, before)
        raise NotFound(STOPPED.format(folder))
    _wait(folder, report, lambda now: _unfinished(now, names, everything=everything))
    print(
        ALL_DONE if everything else f"Drained. Have it paint again with: easel drain {' '.join(sorted(names))} --undo"
    )


def _undo(folder: Path, names: frozenset[str], *, everything: bool) -> None:
    before = drains.wished(folder)
    wanted = Wish() if everything else Wish(everything=before.everything, workers=before.workers - names)
    runs = drains.told(folder) is not None
    drains.wish(folder, wanted)
    if runs:
        _wait(folder, _obeyed(folder, wanted), lambda now: _starting(now, names, everything=everything))
    left = ", ".join([*sorted(wanted.workers), *(["everything"] if wanted.everything else [])])
    print(f"Still drained: {left}." if left else "Nothing is drained any more.")


def _check_names(report: Report | None, names: frozenset[str]) -> None:
    """Raises: BadInput for one that no worker has."""
    known = {worker.name for worker in report.workers} if report is not None else set()
    if report is not None and names - known:
        if not known:
            raise BadInput(ONE)
        raise BadInput(f"No worker is called {min(names - known)}. There are: {', '.join(sorted(known))}.")


def _obeyed(folder: Path, wanted: Wish) -> Report | None:
    """Wait until the bot knows of it; what it says then. None where no bot runs."""
    until = time.monotonic() + OBEYED_S
    while time.monotonic() < until:
        report = drains.told(folder)
        if report is not None and report.obeyed == wanted:
            return report
        time.sleep(LOOK_S)
    return None


def _wait(folder: Path, report: Report | None, left: Callable[[Report], str]) -> None:
    """Until nothing is left, or the bot has ended; says what is left whenever that changes."""
    said = ""
    while report is not None and (waits_for := left(report)):
        if waits_for != said:
            print(waits_for, file=sys.stderr, flush=True)
            said = waits_for
        time.sleep(LOOK_S)
        report = drains.told(folder)


def _unfinished(report: Report, names: frozenset[str], *, everything: bool) -> str:
    """What is still waited for; "" when all is done."""
    if everything:
        return f"painting {report.painting} jobs" if report.painting else ""
    return "; ".join(f"{each.name}: {views.state(each)}" for each in report.workers if _busy(each, names))


def _busy(worker: WorkerStatus, names: frozenset[str]) -> bool:
    works = worker.running or worker.queued or not worker.drained or (worker.own and worker.up)
    return worker.name in names and bool(works)


def _starting(report: Report, names: frozenset[str], *, everything: bool) -> str:
    waits = [each for each in report.workers if each.own and not each.up and (everything or each.name in names)]
    return "; ".join(f"{each.name} is starting" for each in waits)


def _lines(report: Report | None) -> list[str]:
    if report is None:
        return []
    head = ["Everything is being drained."] if report.obeyed.everything else []
    return head + [f"{worker.name}: {views.line(worker)}" for worker in report.workers]
