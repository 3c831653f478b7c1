"""One process for one data directory: a file lock that the system drops when the process dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.store.errors import AlreadyRunning, unusable

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def directory_lock(folder: Path) -> Iterator[None]:
    """Hold `folder` (made if missing) for this process. Raises: AlreadyRunning, FolderUnusable, NoSpace."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds prompts, and what reaches people's messages
        handle = os.open(folder / "easel.lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError as error:
        raise unusable(folder, error) from error
    try:
        try:
            _lock(handle)
        except OSError as error:
            raise AlreadyRunning(
                f"Another Easel is running in {folder}. Stop it first, or choose another folder with EASEL_DATA_DIR."
            ) from error
        yield
    finally:
        os.close(handle)  # closing gives the lock back
