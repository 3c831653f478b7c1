"""The sha256 of weights, each file's worked out once and then known by its path, size and time."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from engine.api.errors import ModelUnloadable
from engine.device.failures import loaded
from engine.device.loader import Load, Loader
from engine.models.files import weights
from engine.models.files.shared_table import SharedTable
from engine.models.files.weights import Tell, weights_in

FILE = "hashes.json"


def _untold(done_bytes: int, total_bytes: int) -> None:
    """Nobody asks."""


class Hashes:
    """Hashes of files and folders of weights, kept in `folder` where there is one. Any thread may ask."""

    def __init__(self, folder: Path | None = None) -> None:
        self._known = SharedTable(folder / FILE if folder is not None else None, str)
        self._lock = threading.Lock()

    def later(self, path: Path, loader: Loader) -> Callable[[], str]:
        """What gives the hash of these weights, as they are now, or has it worked out. That raises NotYet meanwhile."""
        stamp = stamp_of(path)

        def begin() -> Load:
            work = lambda tell: loaded(path.name, partial(self.of, path, tell, was=stamp))  # noqa: E731
            return Load(key=stamp, name=path.name, stage="hash", work=work)

        def hashed() -> str:
            if (known := self._known.get(stamp)) is None:
                loader.wait(stamp, begin)
            return known

        return hashed

    def of(self, path: Path, tell: Tell = _untold, was: str = "") -> str:
        """The hash of a single file (as A1111 and Civitai name models), or of a folder's weights in order of path.

        Args:
            was: the stamp that the weights must still have. Raises: ModelUnloadable, when they were replaced.
        """
        stamp = stamp_of(path)
        if (known := self._known.get(stamp)) is not None:
            return known
        digest = hashlib.sha256()
        for block in weights.read(path, tell):
            digest.update(block)
        if stamp_of(path) != (was or stamp):
            raise ModelUnloadable(name=path.name, reason="its files were replaced while they were read; try again")
        with self._lock:
            return self._known.add(stamp, digest.hexdigest())


def stamp_of(path: Path) -> str:
    """Another one for every content of a file, or a folder's weights, that was written at another time."""
    stats = [(file.resolve(), file.stat()) for file in weights_in(path)]
    key = "|".join(f"{file}:{stat.st_size}:{stat.st_mtime_ns}" for file, stat in stats)
    return hashlib.sha256(key.encode()).hexdigest()
