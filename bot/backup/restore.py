"""Putting a backup back: nothing is touched before all of it is there and whole, and what was there is kept aside."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bot.backup import archive
from bot.backup.archive import Contents
from bot.store.errors import BackupBroken, NoSpace, unusable
from bot.store.lock import PICTURES, RESTORED, RESTORING, directory_lock, put_back, sync_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was put back; `replaced`: the folders with what was there before, on each disk that had something."""

    contents: Contents
    replaced: tuple[Path, ...]


def restore(path: Path, data_dir: Path, now_ms: int) -> Restored:
    """Make a data folder what it was when a backup was made. A crash leaves the old data or the new, never a mixture.

    The pictures are written where they are to be, which may be a disk of its own: only there is room for them.

    Raises: BackupBroken, NewerDatabase, NoSpace, FolderUnusable; nothing was changed then. AlreadyRunning.
    """
    with directory_lock(data_dir):
        fresh, pictures = data_dir / f"{RESTORING}{now_ms}", data_dir / PICTURES / f"{RESTORING}{now_ms}"
        try:
            contents = _extract(path, fresh, pictures)
            ready = data_dir / f"{RESTORED}{now_ms}"
            os.replace(fresh, ready)
            sync_folder(data_dir)
            replaced = put_back(ready)
        except OSError as error:
            raise unusable(data_dir, error) from error
    return Restored(contents=contents, replaced=replaced)


def _extract(path: Path, fresh: Path, pictures: Path) -> Contents:
    if not path.is_file():
        raise BackupBroken(f"There is no backup {path}.")
    known, is_new = archive.contents_of(path), not pictures.parent.exists()
    try:
        pictures.parent.mkdir(mode=0o700, exist_ok=True)
        for folder in (fresh.parent, pictures.parent):
            _clear(folder)
        _check_room(known, fresh.parent, pictures.parent)
        pictures.mkdir(mode=0o700)
        own_pictures = fresh / PICTURES  # also of a backup without pictures: those that are here aren't its own
        own_pictures.mkdir(mode=0o700, parents=True)
        contents = archive.extract(path, fresh, pictures)
        for top in (pictures, fresh):
            for folder in sorted(each for each in top.rglob("*") if each.is_dir()):
                sync_folder(folder)
            sync_folder(top)
            sync_folder(top.parent)
    except BaseException:
        for made in (fresh, pictures, *([pictures.parent] if is_new else [])):
            shutil.rmtree(made, ignore_errors=True)
        raise
    return contents


def _clear(folder: Path) -> None:
    """Remove what a restore that was cut off has left."""
    for left in (*folder.glob(f"{RESTORING}*"), *folder.glob(f"{RESTORED}*")):
        if left.is_dir():
            shutil.rmtree(left)


def _check_room(contents: Contents, folder: Path, pictures: Path) -> None:
    """Raises: NoSpace, naming the disk."""
    disks = {each.stat().st_dev: each for each in (pictures, folder)}
    wanted: Counter[int] = Counter()
    for name, (size, _) in contents.files.items():
        wanted[(pictures if archive.is_picture(name) else folder).stat().st_dev] += size
    for disk, size in wanted.items():
        if shutil.disk_usage(disks[disk]).free < size:
            raise NoSpace(
                f"The disk of {disks[disk]} has no room for this backup: it takes {size / 2**20:,.0f} MiB there."
            )
