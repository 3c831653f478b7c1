"""A JSON object in a file that several workers of one machine add to: none loses what another has written."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T", int, str)
log = logging.getLogger(__name__)
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
LOOK_S = 1.0  # how old may be what is known of others' writing

if sys.platform == "win32":

    @contextmanager
    def _alone(_path: Path) -> Iterator[None]:
        yield  # one worker alone runs there
else:
    import fcntl

    @contextmanager
    def _alone(path: Path) -> Iterator[None]:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with suppress(OSError):  # a file system without locks: then two writers are as good as one another
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


class SharedTable(Generic[T]):
    """Values by name; in memory alone where there is no file. What isn't a `kind` in it is passed over."""

    def __init__(self, path: Path | None, kind: type[T]) -> None:
        self._path = path
        self._kind: type[T] = kind
        self._known: dict[str, T] = {}
        self._stamp: tuple[int, ...] = ()
        self._looked_at = 0.0
        self._look()

    def get(self, name: str) -> T | None:
        """What holds under a name, also when another worker wrote it, after a moment."""
        if self._path is not None and time.monotonic() - self._looked_at > LOOK_S:
            self._look()
        return self._known.get(name)

    def add(self, name: str, value: T) -> T:
        """Write a value unless there is one, and return the one that holds: who comes first decides for all."""
        return self._write(name, value, first=True)

    def replace(self, name: str, value: T) -> None:
        """Write a value, whatever was there."""
        self._write(name, value, first=False)

    def _write(self, name: str, value: T, *, first: bool) -> T:
        if self._path is not None:
            try:
                return self._write_file(self._path, name, value, first=first)
            except OSError as error:
                if error.errno not in UNWRITABLE:
                    raise
                log.warning("%s can't be written (%s), so what is in it now won't be known later", self._path, error)
                self._path = None
        self._known[name] = self._known.get(name, value) if first else value
        return self._known[name]

    def _write_file(self, path: Path, name: str, value: T, *, first: bool) -> T:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.with_suffix(".lock")):
            self._look()
            if first and name in self._known:
                return self._known[name]
            self._known[name] = value
            fresh = path.with_suffix(f".{os.getpid()}.tmp")
            fresh.write_text(json.dumps(self._known, indent=1, sort_keys=True))
            fresh.replace(path)
        return value

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        if self._path is None or (stamp := _stamp(self._path)) == self._stamp:
            return
        self._stamp = stamp
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return
        if isinstance(found, dict):
            self._known = {str(key): value for key, value in found.items() if type(value) is self._kind}


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
