"""Pictures on disk, written so that a file that has a row is whole, whatever fails. Knows no database.

Nothing here runs on the event loop.
"""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import logging
import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from bot.errors import NotFound, PicturesAway
from bot.jobs.records import StoredFile
from bot.languages.speech import N_
from bot.store.lock import sync_folder
from bot.threads.pools import FILES

log = logging.getLogger(__name__)
TEMPORARY = ".part"
FRESH_BYTES = 64 << 20  # five grids of four pictures of 1024 px
ASIDE = "aside"  # a folder for files that no row tells of: see `bot.upkeep.stray_files`
MARK = "database"  # a file that says which database wrote the pictures
MARKED = "pictures marked"  # note: the folder bears that mark
AWAY = N_("The disk with the pictures isn't there right now. Easel goes on when it's back; nothing was charged.")


class FreshPictures:
    """The pixels of pictures that were stored a moment ago, for who shows them first. Any thread may ask.

    So a grid is put together without decoding what was just encoded. Of more than `most_bytes` the oldest are dropped.
    """

    def __init__(self, most_bytes: int = FRESH_BYTES) -> None:
        self._most_bytes = most_bytes
        self._pictures: OrderedDict[str, Image.Image] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, path: str, picture: Image.Image) -> None:
        with self._lock:
            self._pictures[path] = picture
            while sum(each.width * each.height * 3 for each in self._pictures.values()) > self._most_bytes:
                self._pictures.popitem(last=False)

    def take(self, path: str) -> Image.Image | None:
        """The file's picture, once; None when it must be decoded."""
        with self._lock:
            return self._pictures.pop(path, None)

    def drop(self, path: str) -> None:
        """Its file is removed; those of a job where it is `all_of_job`."""
        with self._lock:
            for each in [each for each in self._pictures if fnmatch.fnmatchcase(each, path)]:
                del self._pictures[each]


class ImageFiles:
    """The images directory. Paths given and taken are relative to it, with forward slashes.

    Everything raises PicturesAway while the folder is another than it was.

    Attributes:
        marked: whether it bears its mark: without that it's a mount point whose disk isn't there, say.
        fresh: the pixels of what was written last.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marked = False
        self.fresh = FreshPictures()
        self._looking: asyncio.Future[int] | None = None

    def check_there(self) -> None:
        """Raises: PicturesAway."""
        if self.marked and not (self.folder / MARK).exists():
            raise PicturesAway(AWAY)

    async def write_output(self, job_id: int, ordinal: int, data: bytes, picture: Image.Image) -> StoredFile:
        """Keep a job's picture. A thousand jobs share a folder, so none grows without end."""
        name = f"{_of_job(job_id)}{ordinal}-{{sha:.8}}.png"
        stored = await FILES.run_always(self._write, name, data)
        self.fresh.keep(stored.path, picture)
        return stored

    async def write_input(self, data: bytes) -> StoredFile:
        """Keep an upload. Its name is never used again: whoever removes a file can't mean somebody else's."""
        name = f"inputs/{{sha:.2}}/{{sha}}-{secrets.token_hex(4)}.png"
        return await FILES.run(self._write, name, data)

    async def read(self, path: str, sha256: str = "") -> bytes:
        """A file that is what it was when it was written, where `sha256` says what that is.

        Raises: NotFound when somebody removed or changed it behind our back.
        """
        try:
            data, whole = await FILES.run(self._read, path, sha256)
        except FileNotFoundError as error:
            raise NotFound("The picture's file is gone from the disk. Ask for a new one with /imagine.") from error
        if not whole:
            raise NotFound("The picture's file on the disk is damaged. Ask for a new one with /imagine.")
        return data

    async def has(self, path: str, size: int) -> bool:
        """Whether a file is there and has the size, in bytes, that it was written with."""
        return await FILES.run(self._has, path, size)

    async def delete(self, paths: Iterable[str]) -> list[str]:
        """Remove files, and all of a job where a path is `all_of_job`; missing ones are fine.

        Returns the paths of which nothing is left: none while the disk isn't there. The log tells of others.
        """
        return await FILES.run_always(self._delete, list(paths))

    async def free_mib(self) -> int:
        """Space left on the disk; who asks at once is told at once. Raises: PicturesAway, OSError, Busy."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(FILES.run(self._free_mib))
        return await asyncio.shield(self._looking)

    def _write(self, name: str, data: bytes) -> StoredFile:
        self.check_there()
        sha = hashlib.sha256(data).hexdigest()
        path = name.format(sha=sha)
        target = self.folder / path
        make_folder(target.parent)
        part = target.with_name(f"{target.name}.{secrets.token_hex(4)}{TEMPORARY}")
        try:
            write_through(part, data)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(target.parent)
        return StoredFile(path=path, sha256=sha, bytes=len(data))

    def _has(self, path: str, size: int) -> bool:
        try:
            return (self.folder / path).stat().st_size == size
        except FileNotFoundError:
            self.check_there()
            return False

    def _read(self, path: str, sha256: str) -> tuple[bytes, bool]:
        try:
            data = (self.folder / path).read_bytes()
        except FileNotFoundError:
            self.check_there()
            raise
        return data, not sha256 or hashlib.sha256(data).hexdigest() == sha256

    def _delete(self, paths: list[str]) -> list[str]:
        try:
            self.check_there()
        except PicturesAway as error:
            log.warning("no picture was removed: %s", error)
            return []
        return [path for path in paths if self._gone(path)]

    def _gone(self, path: str) -> bool:
        """Remove what a path means; whether nothing is left of it."""
        self.fresh.drop(path)
        try:
            for folder in (self.folder, self.folder / ASIDE):
                for file in folder.glob(path) if path.endswith("*") else [folder / path]:
                    file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("a picture could not be removed: %s", error)
            return False
        return True

    def _free_mib(self) -> int:
        self.check_there()
        folder = next(folder for folder in (self.folder, *self.folder.absolute().parents) if folder.exists())
        return shutil.disk_usage(folder).free // 2**20


def all_of_job(job_id: int) -> str:
    """Every file of a job, as a path to remove."""
    return f"{_of_job(job_id)}*"


def _of_job(job_id: int) -> str:
    return f"{job_id // 1000:04d}/{job_id}-"


def write_through(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, each entry on disk before the next."""
    if not folder.exists():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
