"""The folder of backups: their names, which of them are kept, and when the next one is due."""

from __future__ import annotations

import calendar
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from bot.backup import archive
from bot.backup.archive import NEVER, SCRATCH, Contents
from bot.jobs.files import make_folder
from bot.store.lock import sharing, sync_folder

PATTERN, NAME = "easel-*.zip", "easel-%Y%m%d-%H%M%S.zip"
HOUR_MS = 3_600_000
LEFT_MS = 24 * HOUR_MS  # what is half-written for so long was cut off, and is no other backup that is being made


def make(
    data_dir: Path, folder: Path, keep: int, now_ms: int, aborted: Callable[[], bool] = NEVER
) -> tuple[Path, Contents]:
    """Write a backup into the folder and let the oldest beyond `keep` go. Raises: what `archive.write` raises."""
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)
    clear(folder, now_ms - LEFT_MS)
    target = folder / time.strftime(NAME, time.gmtime(now_ms / 1000))
    with sharing(folder, lambda: clear(folder, None)):  # what is half-written then is nobody's any more
        contents = archive.write(data_dir, target, now_ms, aborted)
    for spare in sorted(found(folder), key=lambda path: (made_ms(path) <= now_ms, made_ms(path)))[:-keep]:
        spare.unlink()  # first those from a time that is still to come: clocks jump, and the new one must stay
    return target, contents


def found(folder: Path) -> list[Path]:
    """The backups in a folder that were made for it, oldest first: their names say when."""
    return sorted((path for path in folder.glob(PATTERN) if made_ms(path)), key=made_ms)


def made_ms(path: Path) -> int:
    """When a backup was made, by its name; 0 = it's none of these. Copying files changes the time they bear."""
    try:
        return calendar.timegm(time.strptime(path.name, NAME)) * 1000
    except ValueError:
        return 0


def is_due(folder: Path, every_hours: int, now_ms: int) -> bool:
    """Whether the newest backup is older than it may be. Those from a time that is still to come don't count."""
    made = [made_ms(path) for path in found(folder) if made_ms(path) <= now_ms + HOUR_MS]
    return bool(every_hours) and (not made or now_ms - max(made) >= every_hours * HOUR_MS)


def clear(folder: Path, before_ms: int | None) -> None:
    """Remove what backups that were cut off before a time (None = now) left behind."""
    for left in (*folder.glob(f"{PATTERN}.part"), *folder.glob(f"{SCRATCH}*")):
        if before_ms is None or left.stat().st_mtime * 1000 < before_ms:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
