"""The sha256 of weights, each file's worked out once and then known by its path, size and time. Knows no torch.

Reading a file for its hash also brings it into the system's memory, so that loading it afterwards is quick; a file
whose hash is known is read ahead for that alone. Either tells how far it is.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from engine.models.files.shared_table import SharedTable
from engine.models.files.weights import weights_in

FILE = "hashes.json"
BLOCK = 8 << 20
READ_AHEAD_SHARE = 0.5  # of the memory that is free; reading more would push out what was read first
Tell = Callable[[int, int], None]


def _untold(done_bytes: int, total_bytes: int) -> None:
    """Nobody asks."""


class Hashes:
    """Hashes of files and folders of weights, kept in `folder` where there is one. Any thread may ask."""

    def __init__(self, folder: Path | None = None) -> None:
        self._known = SharedTable(folder / FILE if folder is not None else None, str)
        self._lock = threading.Lock()

    def of(self, path: Path, tell: Tell = _untold) -> str:
        """The hash of a single file (as A1111 and Civitai name models), or of a folder's weights in order of path."""
        files = weights_in(path)
        key = "|".join(f"{file.resolve()}:{stat.st_size}:{stat.st_mtime_ns}" for file in files if (stat := file.stat()))
        name = hashlib.sha256(key.encode()).hexdigest()
        known = self._known.get(name)
        if known is not None:
            _read_ahead(files, tell)
            return known
        digest = hashlib.sha256()
        for block in _blocks(files, tell):
            digest.update(block)
        with self._lock:
            return self._known.add(name, digest.hexdigest())


def _read_ahead(files: Sequence[Path], tell: Tell) -> None:
    if sum(file.stat().st_size for file in files) <= READ_AHEAD_SHARE * _free_bytes():
        for _ in _blocks(files, tell):
            pass


def _free_bytes() -> int:
    """Memory that the system could give; 0 where it does not tell."""
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("MemAvailable:")), 0)


def _blocks(files: Sequence[Path], tell: Tell) -> Iterator[memoryview]:
    done, total = 0, sum(file.stat().st_size for file in files)
    room = memoryview(bytearray(min(BLOCK, max(total, 1))))
    tell(0, total)
    for path in files:
        with path.open("rb", buffering=0) as file:
            while size := file.readinto(room):
                yield room[:size]
                done += size
                tell(done, total)
