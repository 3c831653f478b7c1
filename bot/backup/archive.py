"""The file of a backup: a ZIP with the database, the pictures, and a list of both with their sums.

The database comes first and the pictures after it: one that is painted meanwhile is not missed, and one that is deleted
meanwhile is not a fault. A backup has its name only once it was read again and found to be whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from bot.jobs import images
from bot.jobs.files import MARK, MARKED
from bot.store import key_values, migrations
from bot.store.errors import BackupBroken, NewerDatabase
from bot.store.lock import PICTURES, sync_folder

DATABASE, LIST = "easel.db", "backup.json"
OF_IMAGES = f"{PICTURES}/"
MARKED_FILE = f"{OF_IMAGES}{MARK}"
FORMAT = 1
CHUNK = 1 << 20
SCRATCH = "backup-"  # prefix of folders that are used meanwhile
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError, NotImplementedError)
STORED = (".png", ".webp", ".jpg")  # compressed already
NEVER: Callable[[], bool] = lambda: False  # noqa: E731


class Aborted(Exception):
    """The process is stopping: what was begun is thrown away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a backup holds.

    Attributes:
        made_ms: when, as UTC epoch. files: size and sha256 by name. missing: pictures that were gone from the disk.
        deleted: pictures that its database knows, and that somebody deleted before they were read.
    """

    made_ms: int
    files: dict[str, tuple[int, str]]
    missing: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    @property
    def pictures(self) -> int:
        return sum(is_picture(name) and name != MARKED_FILE for name in self.files)

    @property
    def bytes(self) -> int:
        return sum(size for size, _ in self.files.values())


def is_picture(name: str) -> bool:
    """Whether a file of a backup lies in the folder of the pictures."""
    return name.startswith(OF_IMAGES)


# ---------------------------------------------------------------- writing
def write(data_dir: Path, target: Path, now_ms: int, aborted: Callable[[], bool] = NEVER) -> Contents:
    """Write a backup of a data folder, also while it is in use, and read it again.

    Raises: BackupBroken, OSError; `target` is as it was then. Aborted, once `aborted` says so.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("wb") as file, tempfile.TemporaryDirectory(dir=target.parent, prefix=SCRATCH) as scratch:
            contents = _write(data_dir, file, Path(scratch) / DATABASE, now_ms, aborted)
            file.flush()
            os.fsync(file.fileno())
        _copy_all(part, lambda name: None, aborted)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(target.parent)
    return contents


def _write(data_dir: Path, file: IO[bytes], snapshot: Path, now_ms: int, aborted: Callable[[], bool]) -> Contents:
    files: dict[str, tuple[int, str]] = {}
    gone: list[str] = []
    with zipfile.ZipFile(file, "w") as archive:
        migrations.backup(data_dir / DATABASE, snapshot)
        paths = _check(snapshot)
        files[DATABASE] = _add(archive, DATABASE, snapshot)
        marked = _is_marked(snapshot)
        if marked:
            _check_there(data_dir)
            files[MARKED_FILE] = _add(archive, MARKED_FILE, data_dir / MARKED_FILE)
        for extra in sorted(data_dir.glob("*.json")):  # such as the row counts that pictures depend on
            files[extra.name] = _add(archive, extra.name, extra)
        for path in sorted(paths):
            if aborted():
                raise Aborted
            name = f"{OF_IMAGES}{path}"
            try:
                files[name] = _add(archive, name, data_dir / name)
            except FileNotFoundError:
                gone.append(path)
        if marked and gone:
            _check_there(data_dir)
        missing = _lost(data_dir / DATABASE, gone)
        deleted = tuple(path for path in gone if path not in missing)
        contents = Contents(made_ms=now_ms, files=files, missing=missing, deleted=deleted)
        archive.writestr(LIST, json.dumps(_to_json(contents)), zipfile.ZIP_DEFLATED)
    return contents


def _is_marked(database: Path) -> bool:
    """Whether its folder of pictures bore a mark."""
    with closing(sqlite3.connect(migrations.read_only_uri(database), uri=True)) as db:
        db.row_factory = sqlite3.Row
        return key_values.recall(db, MARKED) is not None


def _check_there(data_dir: Path) -> None:
    """Raises: BackupBroken while the disk of the pictures isn't mounted: none of them would be in it."""
    if not (mark := data_dir / MARKED_FILE).exists():
        raise BackupBroken(f"The disk with the pictures isn't there ({mark} is missing).")


def _add(archive: zipfile.ZipFile, name: str, source: Path) -> tuple[int, str]:
    """Add a file; its size and sum."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_STORED if source.suffix in STORED else zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as file, archive.open(entry, "w", force_zip64=source.stat().st_size > 1 << 30) as out:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
    return size, digest.hexdigest()


def _lost(database: Path, gone: list[str]) -> tuple[str, ...]:
    """Of the files that were not there, those that the database still knows: the others were deleted meanwhile."""
    if not gone:
        return ()
    with closing(sqlite3.connect(migrations.read_only_uri(database), uri=True)) as db:
        return tuple(sorted(images.known_paths(db) & set(gone)))


# ---------------------------------------------------------------- reading
def verify(path: Path, scratch: Path) -> Contents:
    """Read a backup to its end and check all of it; `scratch` is a folder with room for its database.

    Raises: BackupBroken, NewerDatabase, OSError.
    """
    with tempfile.TemporaryDirectory(dir=scratch, prefix=SCRATCH) as folder:
        database = Path(folder) / DATABASE
        contents = _copy_all(path, lambda name: database if name == DATABASE else None)
        _check_against(path, contents, database)
    return contents


def extract(path: Path, folder: Path, pictures: Path) -> Contents:
    """Write the files of a backup into an empty folder, its pictures into another, each on the disk, and check them.

    Raises: BackupBroken, NewerDatabase, OSError.
    """

    def target(name: str) -> Path:
        return _inside(pictures, name.removeprefix(OF_IMAGES)) if is_picture(name) else _inside(folder, name)

    contents = _copy_all(path, target)
    _check_against(path, contents, folder / DATABASE)
    return contents


def contents_of(path: Path) -> Contents:
    """What a backup says that it holds. Raises: BackupBroken, NewerDatabase, OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _from_json(json.loads(archive.read(LIST)))
    except DAMAGED as error:
        raise BackupBroken(f"{path} is no whole backup ({error}).") from error


def _copy_all(path: Path, target: Callable[[str], Path | None], aborted: Callable[[], bool] = NEVER) -> Contents:
    """Read every file, and write those that have a `target`. Raises: BackupBroken, Aborted, OSError."""
    contents = contents_of(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for name, facts in contents.files.items():
                if aborted():
                    raise Aborted
                if _copy(archive, name, target(name)) != facts:
                    raise BackupBroken(f"{path} is no whole backup: {name} in it is damaged.")
    except DAMAGED as error:
        raise BackupBroken(f"{path} is no whole backup ({error}).") from error
    return contents


def _check_against(path: Path, contents: Contents, database: Path) -> None:
    """Raises: BackupBroken, NewerDatabase."""
    try:
        known = _check(database)
    except sqlite3.Error as error:
        raise BackupBroken(f"{path} is no whole backup: its database is damaged ({error}).") from error
    here = {name.removeprefix(OF_IMAGES) for name in contents.files}
    if absent := known - here - {*contents.missing, *contents.deleted}:
        raise BackupBroken(f"{path} is no whole backup: {len(absent)} of its pictures are not in it.")


def _copy(archive: zipfile.ZipFile, name: str, target: Path | None) -> tuple[int, str]:
    """Read a file of the archive, into `target` if there is one; its size and sum."""
    digest, size = hashlib.sha256(), 0
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as file, (target or Path(os.devnull)).open("wb") as out:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
        if target is not None:
            out.flush()
            os.fsync(out.fileno())
    return size, digest.hexdigest()


def _inside(folder: Path, name: str) -> Path:
    """Where a file of a backup goes: never out of the folder. Raises: ValueError."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise ValueError(f"'{name}' leads out of the folder")
    return folder / path


def _check(database: Path) -> set[str]:
    """Check a database; the pictures it knows, as paths. Raises: BackupBroken, NewerDatabase, sqlite3.Error."""
    with closing(sqlite3.connect(database)) as db:
        db.row_factory = sqlite3.Row
        verdict = str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])
        if verdict != "ok":
            raise BackupBroken(f"The database in it is damaged ({verdict}).")
        migrations.missing_steps(db)
        if problems := migrations.problems(db):
            raise BackupBroken(f"The books in it don't balance ({problems[0]}).")
        return images.known_paths(db)


def _to_json(contents: Contents) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "made_ms": contents.made_ms,
        "missing": list(contents.missing),
        "deleted": list(contents.deleted),
        "files": {name: list(facts) for name, facts in contents.files.items()},
    }


def _from_json(value: dict[str, Any]) -> Contents:
    """Raises: KeyError, ValueError, NewerDatabase."""
    if int(value["format"]) > FORMAT:
        raise NewerDatabase("This backup was made by a newer Easel. Install that version, or a later one.")
    files = {str(name): (int(size), str(digest)) for name, (size, digest) in value["files"].items()}
    if DATABASE not in files:
        raise ValueError("there is no database in it")
    missing, deleted = (tuple(map(str, value.get(key, ()))) for key in ("missing", "deleted"))
    return Contents(made_ms=int(value["made_ms"]), files=files, missing=missing, deleted=deleted)
