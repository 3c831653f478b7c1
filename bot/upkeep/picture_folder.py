"""The pictures' folder as a whole: whose it is, what lies in it, and what was moved aside. Knows no database.

Everything here waits for the disk: call it from a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from bot.jobs.files import ASIDE, MARK, TEMPORARY, make_folder, write_through
from bot.store.lock import sync_folder

INPUTS = "inputs"
SUFFIXES = (".png", TEMPORARY)


class PictureFolder:
    """Paths given and taken are relative to the folder, with forward slashes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def owner(self) -> str:
        """The id of the database that wrote these pictures; "" = nobody noted it."""
        try:
            return (self.folder / MARK).read_text("utf-8", errors="replace").strip()
        except FileNotFoundError:
            return ""

    def take_over(self, database_id: str) -> None:
        """Note which database writes here from now on."""
        make_folder(self.folder)
        write_through(self.folder / MARK, f"{database_id}\n".encode())
        sync_folder(self.folder)

    def parts(self) -> list[str]:
        """The folders that hold pictures, as "0012/" and "inputs/ab/"."""
        outputs = [name for name in _folders(self.folder) if name.isdecimal()]
        return [*(f"{name}/" for name in outputs), *(f"{INPUTS}/{n}/" for n in _folders(self.folder / INPUTS))]

    def listing(self, part: str) -> dict[str, float]:
        """The files of one of those folders: path to when it was written, as seconds since the epoch."""
        found = {}
        with os.scandir(self.folder / part) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # removed meanwhile
                    if entry.name.endswith(SUFFIXES) and entry.is_file():
                        found[f"{part}{entry.name}"] = entry.stat().st_mtime
        return found

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Those that are not there."""
        return [path for path in paths if not (self.folder / path).exists()]

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            (self.folder / path).unlink(missing_ok=True)

    # ------------------------------------------------------------ aside
    def set_aside(self, paths: Iterable[str], now_s: float) -> None:
        """Move files to where nobody looks for them; they keep their path there, and count as written `now_s`."""
        for path in paths:
            target = self.folder / ASIDE / path
            make_folder(target.parent)
            with suppress(FileNotFoundError):  # removed meanwhile
                os.replace(self.folder / path, target)
                os.utime(target, (now_s, now_s))
                sync_folder(target.parent)

    def bring_back(self, paths: Iterable[str]) -> list[str]:
        """Move files back; those that were there."""
        back = []
        for path in paths:
            if (aside := self.folder / ASIDE / path).exists():
                make_folder((self.folder / path).parent)
                os.replace(aside, self.folder / path)
                back.append(path)
        return back

    def drop_aside(self, before_s: float) -> int:
        """Remove what was moved aside before a time; how many files."""
        old = [path for path in (self.folder / ASIDE).rglob("*") if path.is_file() and path.stat().st_mtime < before_s]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)


def _folders(folder: Path) -> Iterator[str]:
    if folder.exists():
        with os.scandir(folder) as entries:
            yield from sorted(entry.name for entry in entries if entry.is_dir())
