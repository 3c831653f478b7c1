"""One process for one data directory: a file lock that the system drops when the process dies.

Whoever gets the lock first ends what a restore of a backup has begun: no process sees half of one.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.store.errors import AlreadyRunning, FolderUnusable, unusable

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    @contextmanager
    def sharing(_folder: Path, _alone: Callable[[], None]) -> Iterator[None]:
        yield
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @contextmanager
    def sharing(folder: Path, alone: Callable[[], None]) -> Iterator[None]:
        """Work in a folder as other processes may; first, when none does, call `alone`."""
        handle = os.open(folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):
                _lock(handle)
                alone()
            with contextlib.suppress(OSError):  # a file system that has no locks
                fcntl.flock(handle, fcntl.LOCK_SH)
            yield
        finally:
            os.close(handle)


RESTORING, RESTORED, REPLACED = "restoring-", "restored-", "replaced-"
"""Folders, followed by when: of a backup that isn't whole yet, of what is to be used, of what was used before."""
PICTURES = "images"  # may be a disk of its own, which can't be renamed: so only what is in it is
ENDED = "ended"  # a file that says how the database was left
OF_DATABASE = ("easel.db-wal", "easel.db-shm")  # they belong to the old file, and must not meet the new one


@contextmanager
def directory_lock(folder: Path) -> Iterator[None]:
    """Hold `folder` (made if missing) for this process. Raises: AlreadyRunning, FolderUnusable, NoSpace."""
    try:
        if not folder.exists():
            folder.mkdir(
                mode=0o700, parents=True, exist_ok=True
            )  # it holds prompts, and what reaches people's messages
            sync_folder(folder.parent)
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
        _end_restores(folder)
        yield
    finally:
        os.close(handle)  # closing gives the lock back


def _end_restores(folder: Path) -> None:
    try:
        for begun in sorted(folder.glob(f"{RESTORED}*")):
            if begun.is_dir():
                put_back(begun)
    except OSError as error:
        raise unusable(folder, error) from error


def put_back(restored: Path) -> tuple[Path, ...]:
    """Use the files of `restored` in the folder above it; where the ones before are. Goes on where it was cut off.

    Its pictures lie where they are to be, in a folder of the same time; its own folder of that name says that they do.

    Raises: FolderUnusable, OSError.
    """
    folder, when = restored.parent, restored.name.removeprefix(RESTORED)
    replaced, pictures = folder / f"{REPLACED}{when}", folder / PICTURES
    replaced.mkdir(mode=0o700, exist_ok=True)
    for fresh in sorted(restored.iterdir()):
        if fresh.name == PICTURES:
            _put_pictures_back(pictures, replaced / PICTURES, when)
            fresh.rmdir()
            sync_folder(restored)
            (pictures / restored.name).rmdir()
        else:
            _put_file_back(fresh, folder, replaced)
    restored.rmdir()
    with contextlib.suppress(OSError):  # nothing was there before
        replaced.rmdir()
    return tuple(path for path in (replaced, pictures / replaced.name) if path.exists())


def _put_file_back(fresh: Path, folder: Path, replaced: Path) -> None:
    others = OF_DATABASE if fresh.name == "easel.db" else ()
    for name in (*others, fresh.name):
        if (folder / name).exists():
            os.replace(folder / name, replaced / name)
    sync_folder(replaced)
    os.replace(fresh, folder / fresh.name)
    sync_folder(folder)


def _put_pictures_back(pictures: Path, replaced: Path, when: str) -> None:
    """First all that is there goes aside, then the others come; the name of their folder tells which is the turn."""
    waiting, coming, aside = (pictures / f"{prefix}{when}" for prefix in (RESTORING, RESTORED, REPLACED))
    if waiting.exists():
        aside.mkdir(mode=0o700, exist_ok=True)
        for old in [*pictures.iterdir()]:
            if not old.name.startswith((RESTORING, REPLACED)):
                _set_aside(old, aside, needed=(waiting / old.name).exists())
        sync_folder(aside)
        os.replace(waiting, coming)
        sync_folder(pictures)
    elif not coming.exists():
        raise FolderUnusable(
            f"A backup is being put back, and its pictures in {waiting} aren't there. Mount the disk with the pictures."
        )
    for fresh in sorted(coming.iterdir()):
        os.replace(fresh, pictures / fresh.name)
    sync_folder(pictures)
    with contextlib.suppress(OSError):  # nothing was there before
        aside.rmdir()
    with contextlib.suppress(OSError):  # they stay on their own disk
        os.replace(aside, replaced)


def _set_aside(old: Path, aside: Path, *, needed: bool) -> None:
    """Move what is there out of the way; `needed` where its name is. A disk's own `lost+found`, say, may stay."""
    try:
        os.replace(old, aside / old.name)
    except OSError:
        if needed:
            raise


def forget_end(database: Path) -> bool:
    """Whether the last process closed this very file in order. From now on nothing says so. Raises: OSError."""
    note = database.with_name(ENDED)
    try:
        ended = note.read_bytes()
    except FileNotFoundError:
        return False
    note.unlink()
    sync_folder(note.parent)  # a crash from now on must not look like an end
    return database.exists() and ended == _state(database).encode()


def note_end(database: Path) -> None:
    """Note that everything is closed in order: then the next start need not read it all. Raises: OSError."""
    log_file = database.with_name(OF_DATABASE[0])
    if not log_file.exists() or not log_file.stat().st_size:  # somebody else has it open otherwise
        database.with_name(ENDED).write_text(_state(database), encoding="utf-8")


def _state(database: Path) -> str:
    """Whatever changes with the file, also when another one takes its place."""
    found = database.stat()
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"


def sync_folder(folder: Path) -> None:
    """Make a new name durable; systems that cannot open folders (Windows) do so by themselves."""
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
