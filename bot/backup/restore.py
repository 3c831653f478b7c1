"""Putting a backup back: nothing is touched before all of it is there and whole, and what was there is kept aside."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from bot.backup import archive
from bot.backup.archive import Contents
from bot.store.errors import BackupBroken, NoSpace, unusable
from bot.store.lock import RESTORED, directory_lock, put_back, sync_folder

UNFINISHED = "restoring-"  # prefix of the folder that is not whole yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was put back; `replaced` is the folder with what was there before, None if there was nothing."""

    contents: Contents
    replaced: Path | None


def restore(path: Path, data_dir: Path, now_ms: int) -> Restored:
    """Make a data folder what it was when a backup was made. A crash leaves the old data or the new, never a mixture.

    Raises: BackupBroken, NewerDatabase, NoSpace, FolderUnusable; nothing was changed then. AlreadyRunning.
    """
    with directory_lock(data_dir):
        fresh = data_dir / f"{UNFINISHED}{now_ms}"
        try:
            for old in data_dir.glob(f"{UNFINISHED}*"):  # of a restore that was cut off
                shutil.rmtree(old)
            contents = _extract(path, fresh)
            ready = fresh.rename(data_dir / f"{RESTORED}{now_ms}")
            sync_folder(data_dir)
            replaced = put_back(ready)
        except OSError as error:
            raise unusable(data_dir, error) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return Restored(contents=contents, replaced=replaced if replaced.exists() else None)


def _extract(path: Path, fresh: Path) -> Contents:
    if not path.is_file():
        raise BackupBroken(f"There is no backup {path}.")
    wanted = archive.contents_of(path).bytes
    if shutil.disk_usage(fresh.parent).free < wanted:
        raise NoSpace(f"The disk of {fresh.parent} has no room for this backup: it takes {wanted / 2**20:,.0f} MiB.")
    fresh.mkdir(mode=0o700)
    (fresh / archive.IMAGES).mkdir()  # also of a backup without pictures: those that are here are not its own
    contents = archive.extract(path, fresh)
    for folder in sorted(each for each in fresh.rglob("*") if each.is_dir()):
        sync_folder(folder)
    sync_folder(fresh)
    return contents
