"""The folder of backups: their names, which of them are kept, and when the next one is due."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from bot.backup import archive
from bot.backup.archive import NEVER, SCRATCH, Contents

PATTERN = "easel-*.zip"
HOUR_MS = 3_600_000
LEFT_MS = 24 * HOUR_MS  # what is half-written for so long was cut off, and is no other backup that is being made


def make(
    data_dir: Path, folder: Path, keep: int, now_ms: int, aborted: Callable[[], bool] = NEVER
) -> tuple[Path, Contents]:
    """Write a backup into the folder and let the oldest beyond `keep` go. Raises: what `archive.write` raises."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _clear(folder, now_ms - LEFT_MS)
    target = folder / f"easel-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now_ms / 1000))}.zip"
    contents = archive.write(data_dir, target, now_ms, aborted)
    for old in found(folder)[:-keep]:
        old.unlink()
    return target, contents


def found(folder: Path) -> list[Path]:
    """The backups in a folder, oldest first: their names say when they were made."""
    return sorted(folder.glob(PATTERN))


def is_due(folder: Path, every_hours: int, now_ms: int) -> bool:
    """Whether the newest backup is older than it may be, or from a time that is still to come."""
    newest = found(folder)[-1:]
    if not every_hours or not newest:
        return bool(every_hours)
    age_ms = now_ms - newest[0].stat().st_mtime * 1000
    return not -HOUR_MS <= age_ms < every_hours * HOUR_MS


def _clear(folder: Path, before_ms: int) -> None:
    """Remove what a backup that was cut off left behind."""
    for left in (*folder.glob(f"{PATTERN}.part"), *folder.glob(f"{SCRATCH}*")):
        if left.stat().st_mtime * 1000 < before_ms:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
