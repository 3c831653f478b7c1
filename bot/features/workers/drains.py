"""What `easel drain` and the running bot tell each other, in two files of the data folder.

The command line writes what is to be drained; the bot looks every few seconds, and writes how its workers are.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bot.features.workers import small_files
from engine.backend import WorkerStatus

WISH_FILE, REPORT_FILE = "drained.json", "workers.json"
FRESH_S = 20.0  # it's written every few seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to get no more jobs. `everything` holds until Easel's next start: that's what it is for."""

    everything: bool = False
    workers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a running bot's workers are. `obeyed`: the wish that it knows; `painting`: jobs in its engine."""

    at_s: float
    obeyed: Wish
    painting: int
    workers: tuple[WorkerStatus, ...] = ()

    @property
    def fresh(self) -> bool:
        """Whether the bot that wrote it runs."""
        return abs(time.time() - self.at_s) < FRESH_S


def wished(folder: Path) -> Wish:
    """What was asked for last; nothing, where the file is none."""
    return _wish(small_files.read(folder / WISH_FILE))


def wish(folder: Path, wanted: Wish) -> None:
    """Ask for this from now on. Raises: OSError."""
    small_files.write(folder / WISH_FILE, _plain(wanted))


def told(folder: Path) -> Report | None:
    """What a running bot says; None while none runs."""
    said = small_files.read(folder / REPORT_FILE)
    try:
        workers = tuple(_worker(each) for each in said["workers"])
        obeyed, painting = _wish(said["obeyed"]), int(said["painting"])
        report = Report(at_s=float(said["at_s"]), obeyed=obeyed, painting=painting, workers=workers)
    except (KeyError, TypeError, ValueError):
        return None
    return report if report.fresh else None


def tell(folder: Path, report: Report) -> None:
    """Say how the workers are. Raises: OSError."""
    workers = [asdict(worker) for worker in report.workers]
    said = {"at_s": report.at_s, "obeyed": _plain(report.obeyed), "painting": report.painting, "workers": workers}
    small_files.write(folder / REPORT_FILE, said)


def _worker(said: dict[str, Any]) -> WorkerStatus:
    known = {each.name for each in fields(WorkerStatus)}
    given: dict[str, Any] = {name: value for name, value in said.items() if name in known}
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return WorkerStatus(**given | lists)


def _wish(said: Any) -> Wish:
    workers = said.get("workers", ()) if isinstance(said, dict) else ()
    everything = isinstance(said, dict) and said.get("everything") is True
    return Wish(everything=everything, workers=frozenset(map(str, workers if isinstance(workers, list) else ())))


def _plain(wanted: Wish) -> dict[str, Any]:
    return {"everything": wanted.everything, "workers": sorted(wanted.workers)}
