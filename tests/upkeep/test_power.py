"""The power fails: whatever counts is on the disk, its name too, before anything says that it's there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.backup import keeping
from bot.jobs.records import Job
from bot.store import connection
from bot.store.clock import ManualClock
from bot.upkeep.stray_files import StrayFiles
from tests.services.workbench import asked, workbench


class Disk:
    """Notes what was forced onto the disk, and which names were made: what is not in `safe` may be gone."""

    def __init__(self, folder: Path, patched: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.synced: set[str] = set()  # contents
        self.names: dict[str, bool] = {}  # made here, and whether their folder was synced since
        for name in ("fsync", "replace", "mkdir"):
            patched.setattr(os, name, self._noting(name, getattr(os, name)))

    def _noting(self, name: str, works: Any) -> Any:
        def either(*args: Any, **options: Any) -> Any:
            done = works(*args, **options)
            getattr(self, f"_{name}")(*args)
            return done

        return either

    def _fsync(self, number: int) -> None:
        path = os.readlink(f"/proc/self/fd/{number}")
        self.synced.add(path)
        for name in self.names:
            if os.path.dirname(name) == path:
                self.names[name] = True

    def _replace(self, source: Any, target: Any) -> None:
        if os.fspath(source) in self.synced or os.path.isdir(target):
            self.synced.add(os.fspath(target))
        self.names[os.fspath(target)] = False

    def _mkdir(self, path: Any, *_: Any) -> None:
        self.names.setdefault(os.fspath(path), False)

    def unsafe(self, *paths: Path) -> list[str]:
        """Which of these could be lost, or be empty."""
        wanted = [(path, [path, *path.parents][: len(path.relative_to(self.folder).parts)]) for path in paths]
        return [
            str(path)
            for path, above in wanted
            if str(path) not in self.synced or not all(self.names.get(str(each), True) for each in above)
        ]


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(tmp_path, monkeypatch)


async def test_the_database_waits_for_the_disk(tmp_path: Path) -> None:
    async with connection.open_writer(tmp_path / "easel.db") as writer:
        facts = [await writer.run(lambda db, name=name: db.execute(f"PRAGMA {name}").fetchone()[0]) for name in (  # type: ignore[misc]
            "synchronous", "journal_mode", "foreign_keys", "secure_delete", "mmap_size"
        )]  # fmt: skip
    assert facts == [2, "wal", 1, 1, 0], "2 is FULL: a commit returns once its log is on the disk"


async def test_pictures_are_safe_before_they_have_rows(tmp_path: Path, disk: Disk) -> None:
    async with workbench(tmp_path / "data", ManualClock(), start=False) as bench:
        noted, rendered = [], bench.store.rendered

        async def checked(job_id: int, boot_id: str, new: Any, withheld: Any = ()) -> Job:
            noted.append(disk.unsafe(*(bench.files.folder / image.file.path for image in new)))
            return await rendered(job_id, boot_id, new, withheld)

        bench.store.rendered = checked  # type: ignore[method-assign]
        assert disk.names[str(tmp_path / "data")], "the data folder itself"
        await StrayFiles(bench.store.db, bench.files, ManualClock()).begin()
        assert disk.unsafe(bench.files.folder / "database") == []
        await bench.dispatcher.start()
        for _ in range(2):  # the second time, the folder is there
            await bench.jobs.submit(asked())
        sha = await bench.jobs.store_input(Image.new("RGB", (8, 8)))
        [upload] = (bench.files.folder / "inputs").rglob("*.png")
        assert disk.unsafe(upload) == []
        await bench.jobs.submit(asked(task="img2img", init_image=sha, strength=0.5))
        await bench.outbox.start()
        await bench.idle()
    assert noted == [[], [], []]


async def test_a_backup_is_safe_before_older_ones_go(tmp_path: Path, disk: Disk) -> None:
    async with workbench(tmp_path / "data", ManualClock()) as bench:
        await bench.jobs.submit(asked())
        await bench.idle()
    folder = tmp_path / "backups"
    for at_ms in (10**12, 2 * 10**12):
        path, _ = keeping.make(tmp_path / "data", folder, 1, at_ms)
        assert disk.unsafe(path) == []
        assert keeping.found(folder) == [path]


def test_what_is_not_synced_is_found(tmp_path: Path, disk: Disk) -> None:
    """The test itself: it must see what is missing."""
    part, whole = tmp_path / "part", tmp_path / "whole"
    part.write_text("x")
    os.replace(part, whole)
    assert disk.unsafe(whole) == [str(whole)]
    shutil.copy(whole, part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, whole)
    assert disk.unsafe(whole) == [str(whole)], "its name isn't safe yet"
    number = os.open(tmp_path, os.O_RDONLY)
    os.fsync(number)
    os.close(number)
    assert disk.unsafe(whole) == []
