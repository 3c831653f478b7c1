"""A backup is made under load, is read to its end, and comes back as a bot that delivers what was owed."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from chaos import SETTINGS, FilePost, upkeep
from test_killing import HERE, all_jobs, check_files, check_messages, lines
from workbench import Postman, asked, until, workbench

from bot.__main__ import main
from bot.backup import archive, keeping
from bot.backup import restore as restoring
from bot.backup.archive import Aborted
from bot.backup.restore import restore
from bot.backup.schedule import BackupSchedule
from bot.config import Settings
from bot.features.privacy.service import Privacy
from bot.store import key_values, lock, migrations, users
from bot.store.clock import DAY_MS, ManualClock, SystemClock
from bot.store.errors import AlreadyRunning, BackupBroken, CorruptDatabase, FolderUnusable, NewerDatabase, NoSpace
from bot.store.lock import directory_lock
from bot.store.migrations import Migration, migrate, shipped
from bot.store.store import Store
from engine.fake import FakeEngine

MEMORY = Path("/dev/shm")  # a disk of its own on every Linux


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A data folder with three pictures."""
    async with workbench(tmp_path / "data", ManualClock()) as bench:
        await bench.jobs.submit(asked(num_images=2))
        await bench.jobs.submit(asked(num_images=1))
        await bench.idle()
    (tmp_path / "data" / "batch_sizes.json").write_text("{}")
    return tmp_path / "data"


def files(folder: Path) -> dict[str, bytes]:
    """Pictures and small files by name; what a restore has put aside is no picture."""
    root = (folder / "images").resolve()
    pictures = {f"images/{file.relative_to(root).as_posix()}": file.read_bytes() for file in root.rglob("*.png")}
    small = {file.name: file.read_bytes() for file in folder.glob("*.json")}
    return {name: content for name, content in (pictures | small).items() if "/replaced-" not in name}


def names(folder: Path) -> list[str]:
    """What is in a folder; SQLite's own files aside, which come and go with whoever reads."""
    return sorted(file.name for file in folder.iterdir() if not file.name.endswith(("-wal", "-shm")))


def rows(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT id, state, spec, charged FROM job ORDER BY id").fetchall()


# ---------------------------------------------------------------- there and back
def test_a_backup_is_all_there_is(data: Path, tmp_path: Path) -> None:
    contents = archive.write(data, tmp_path / "b.zip", 5)
    assert (contents.pictures, contents.missing, contents.made_ms) == (3, (), 5)
    assert archive.verify(tmp_path / "b.zip", tmp_path) == contents
    restored = restore(tmp_path / "b.zip", tmp_path / "new", 6)
    assert restored.replaced == ()
    assert files(tmp_path / "new") == files(data)
    assert rows(tmp_path / "new" / "easel.db") == rows(data / "easel.db")


def test_nothing_is_left_beside_it(data: Path, tmp_path: Path) -> None:
    before = names(data)
    archive.write(data, tmp_path / "out.zip", 5)
    restore(tmp_path / "out.zip", tmp_path / "new", 6)
    assert names(data) == before
    assert names(tmp_path) == ["data", "new", "out.zip"]
    assert names(tmp_path / "new") == ["batch_sizes.json", "easel.db", "easel.lock", "images"]


async def test_what_was_there_is_kept_aside(data: Path, tmp_path: Path) -> None:
    archive.write(data, tmp_path / "b.zip", 5)
    async with workbench(data, ManualClock()) as bench:
        await bench.jobs.submit(asked())
        await bench.idle()
    later = files(data)
    restored = restore(tmp_path / "b.zip", data, 6)
    assert restored.replaced == (data / "replaced-6",)
    assert files(restored.replaced[0]) == later
    assert len(rows(data / "easel.db")) == 2
    async with workbench(data, ManualClock()) as bench:
        assert len(await bench.store.history(10, 1)) == 2


async def test_the_old_log_does_not_meet_the_new_database(data: Path, tmp_path: Path) -> None:
    """A killed process leaves a write-ahead log, which SQLite would play into whatever has the database's name."""
    archive.write(data, tmp_path / "b.zip", 5)
    async with Store.open(data / "easel.db", ManualClock()) as store:
        await store.write(key_values.remember, "key", "value")
        shutil.copytree(data, tmp_path / "killed")
    assert (tmp_path / "killed" / "easel.db-wal").stat().st_size > 0
    restore(tmp_path / "b.zip", tmp_path / "killed", 6)
    async with Store.open(tmp_path / "killed" / "easel.db", ManualClock()) as store:
        assert await store.read(key_values.recall, "key") is None
        assert await store.problems() == []


def test_a_picture_that_is_gone_is_told_and_does_not_stop_backups(data: Path, tmp_path: Path) -> None:
    next(data.glob("images/0*/*.png")).unlink()
    contents = archive.write(data, tmp_path / "b.zip", 5)
    assert (contents.pictures, len(contents.missing)) == (2, 1)
    assert archive.verify(tmp_path / "b.zip", tmp_path) == contents


# ---------------------------------------------------------------- what is not whole
def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path: Path) -> None:
    """One bit of a picture, past the header of its entry."""
    with zipfile.ZipFile(path) as file:
        entry = next(info for info in file.infolist() if info.filename.endswith(".png"))
    content = bytearray(path.read_bytes())
    content[entry.header_offset + 200] ^= 1
    path.write_bytes(content)


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries.items():
            if (fresh := change(name, content)) is not None:
                file.writestr(name, fresh)


def without_a_picture(path: Path) -> None:
    rewritten(path, lambda name, content: None if name.endswith("-0.png") or "/1-0-" in name else content)


def without_its_list(path: Path) -> None:
    rewritten(path, lambda name, content: None if name == archive.LIST else content)


def leading_out(path: Path) -> None:
    rewritten(path, lambda name, c: c.replace(b"batch_sizes.json", b"../batch_s.json") if name == archive.LIST else c)


def foreign(path: Path) -> None:
    path.write_bytes(b"hello")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    "damage", [truncated, flipped, without_a_picture, without_its_list, leading_out, foreign, empty, gone]
)
def test_what_is_not_whole_is_refused_and_nothing_is_touched(
    data: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    archive.write(data, tmp_path / "b.zip", 5)
    damage(tmp_path / "b.zip")
    before = files(data), names(data)
    with pytest.raises(BackupBroken):
        restore(tmp_path / "b.zip", data, 6)
    assert (files(data), names(data)) == before
    assert not (tmp_path / "batch_s.json").exists()


def test_a_damaged_database_is_not_backed_up_as_if_it_were_whole(data: Path, tmp_path: Path) -> None:
    path = data / "easel.db"
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 6] = b"\x55" * 4096 * 3
    path.write_bytes(content)
    (tmp_path / "b.zip").write_bytes(b"the one before")
    with pytest.raises((BackupBroken, sqlite3.DatabaseError)):
        archive.write(data, tmp_path / "b.zip", 5)
    assert (tmp_path / "b.zip").read_bytes() == b"the one before"
    assert names(tmp_path) == ["b.zip", "data"]


def test_a_newer_one_is_refused(data: Path, tmp_path: Path) -> None:
    next_ = Migration(version=9000, name="9000_next.sql", sql="CREATE TABLE extra (id INTEGER) STRICT;")
    migrate(data / "easel.db", 0, (*shipped(), next_))
    with pytest.raises(NewerDatabase):
        archive.write(data, tmp_path / "b.zip", 5)


def test_a_disk_without_room_is_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.write(data, tmp_path / "b.zip", 5)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(NoSpace, match="no room"):
        restore(tmp_path / "b.zip", tmp_path / "new", 6)


def test_a_running_bot_is_not_replaced(data: Path, tmp_path: Path) -> None:
    archive.write(data, tmp_path / "b.zip", 5)
    with directory_lock(data), pytest.raises(AlreadyRunning):
        restore(tmp_path / "b.zip", data, 6)


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another disk than the data, where files can't be renamed to."""
    if not MEMORY.is_dir() or MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is but one disk")
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


def test_the_pictures_may_have_a_disk_of_their_own(data: Path, tmp_path: Path, other_disk: Path) -> None:
    """Neither is its mount point renamed, nor is anything carried over to the disk of the data."""
    archive.write(data, tmp_path / "b.zip", 5)
    before = files(data)
    shutil.copytree(data / "images", other_disk, dirs_exist_ok=True)
    shutil.rmtree(data / "images")
    (data / "images").symlink_to(other_disk)
    (other_disk / "0000" / "newer.png").write_bytes(b"newer")
    restored = restore(tmp_path / "b.zip", data, 6)
    assert (data / "images").readlink() == other_disk
    assert restored.replaced == (data / "replaced-6", data / "images" / "replaced-6")
    assert (other_disk / "replaced-6" / "0000" / "newer.png").read_bytes() == b"newer"
    shutil.rmtree(other_disk / "replaced-6")
    assert files(data) == before
    assert sorted(path.name for path in other_disk.iterdir()) == ["0000"]


def test_a_restore_waits_for_the_disk_of_the_pictures(
    data: Path, tmp_path: Path, other_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was cut off, and that disk isn't mounted any more: nobody starts with half of it."""
    archive.write(data, tmp_path / "b.zip", 5)
    wanted = files(data)
    shutil.rmtree(data / "images")
    (data / "images").symlink_to(other_disk)

    def killed(_restored: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(restoring, "put_back", killed)
        restore(tmp_path / "b.zip", data, 6)
    (data / "images").unlink()
    for _ in range(2):
        with pytest.raises(FolderUnusable, match="Mount the disk with the pictures"), directory_lock(data):
            pass
    (data / "images").symlink_to(other_disk)
    with directory_lock(data):
        assert files(data) == wanted


def test_a_folder_that_cannot_be_renamed_is_one_sentence(data: Path) -> None:
    """Whoever opens it next tries to end the restore."""
    (data / "restored-6" / "easel.db").mkdir(parents=True)
    (data / "replaced-6").touch()
    for _ in range(2):
        with pytest.raises(FolderUnusable, match="can't be written"), directory_lock(data):
            pass


def test_files_with_the_names_of_its_folders_are_let_be(data: Path, tmp_path: Path) -> None:
    archive.write(data, tmp_path / "b.zip", 5)
    for name in ("restored-1", "restoring-1"):
        (data / name).touch()
    restore(tmp_path / "b.zip", data, 6)
    assert {"restored-1", "restoring-1"} < set(names(data))


@pytest.mark.parametrize("disks", [1, 2])
def test_a_restore_that_is_cut_off_anywhere_is_the_old_or_the_new(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, disks: int
) -> None:
    """Whatever it was doing to names, the next one that gets the lock ends it."""
    archive.write(data, tmp_path / "b.zip", 5)
    seen = set()
    for step in itertools.count(1):
        old = tmp_path / str(step)
        migrate(old / "easel.db", 0)
        if disks == 2:
            place = request.getfixturevalue("other_disk") / str(step)
            place.mkdir()
            (old / "images").symlink_to(place)
        else:
            (old / "images").mkdir()
        (old / "images" / "mine.png").write_bytes(b"mine")
        with monkeypatch.context() as killed:
            finished = cut_off(killed, step, tmp_path / "b.zip", old)
        with directory_lock(old):
            new = files(old) == files(data)
            assert new == ("images/mine.png" not in files(old))
            assert len(rows(old / "easel.db")) == (2 if new else 0)
            left = {"mine.png"} if not new else {"0000", *(["replaced-6"] if disks == 2 else [])}
            assert not list(old.glob("restored-*"))
            assert {path.name for path in (old / "images").iterdir()} - {"restoring-6", "restored-6"} == left
        seen.add(new)
        if finished:
            break
    assert seen == {True, False}


def cut_off(killed: pytest.MonkeyPatch, step: int, backup: Path, folder: Path) -> bool:
    """Restore, and die before the change of a name, or the wait for the disk, with this number; whether it ended."""
    left, sync = iter(range(step - 1)), lock.sync_folder

    def dying(call: Callable[..., None]) -> Callable[..., None]:
        def die(*args: object) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            call(*args)

        return die

    killed.setattr(os, "replace", dying(os.replace))
    for module in (lock, restoring):
        killed.setattr(module, "sync_folder", dying(sync))
    with suppress(KeyboardInterrupt):
        restore(backup, folder, 6)
        return True
    return False


# ---------------------------------------------------------------- by themselves
async def nobody(sentence: str) -> None:
    raise AssertionError(sentence)


async def test_they_are_made_when_due_and_the_newest_are_kept(data: Path) -> None:
    clock = SystemClock()
    settings = Settings(_env_file=None, data_dir=data, backup_every_hours=24, backup_keep=2)
    schedule = BackupSchedule(settings, clock, nobody)
    first = await schedule.once()
    assert first is not None
    assert await schedule.once() is None
    for age_days, name in ((3, "easel-20200101-000000.zip"), (2, "easel-20200102-000000.zip")):
        shutil.copy(first, first.with_name(name))
        os.utime(first.with_name(name), (clock.now_ms() / 1000 - age_days * 86400,) * 2)
    first.unlink()
    assert await schedule.once() is not None
    kept = keeping.found(settings.backups_dir)
    assert len(kept) == 2
    assert kept[0].name == "easel-20200102-000000.zip"
    assert (settings.backups_dir.stat().st_mode & 0o077) == 0


def test_a_clock_that_went_back_does_not_stop_them(tmp_path: Path) -> None:
    (tmp_path / "easel-20990101-000000.zip").touch()
    (tmp_path / "easel-of-mine.zip").touch()
    now_ms = 1_800_000_000_000  # 2027-01-15 08:00:00
    assert keeping.is_due(tmp_path, 24, now_ms), "what is from a time to come is no backup of today"
    (tmp_path / "easel-20270115-080000.zip").touch()
    assert not keeping.is_due(tmp_path, 24, now_ms)
    assert keeping.is_due(tmp_path, 24, now_ms + DAY_MS)
    assert keeping.is_due(tmp_path, 24, now_ms - DAY_MS)
    assert not keeping.is_due(tmp_path, 0, now_ms + DAY_MS)


def test_what_a_clock_ahead_left_behind_goes_before_what_is_new(data: Path, tmp_path: Path) -> None:
    folder, now_ms = tmp_path / "backups", 1_800_000_000_000
    for day in (20, 0, 1):
        keeping.make(data, folder, 2, now_ms + day * DAY_MS)
    assert [path.name[6:14] for path in keeping.found(folder)] == ["20270115", "20270116"]


async def test_a_failure_is_told(data: Path, tmp_path: Path) -> None:
    told: list[str] = []
    settings = Settings(_env_file=None, data_dir=data, backup_every_hours=24, backup_dir=str(tmp_path / "file" / "x"))
    (tmp_path / "file").touch()

    async def tell(sentence: str) -> None:
        told.append(sentence)

    schedule = BackupSchedule(settings, SystemClock(), tell)
    schedule.start()

    async def was_told() -> bool:
        return bool(told)

    await until(was_told)
    await schedule.stop()
    assert told[0].startswith("The backup failed: ")


def test_a_stop_throws_a_half_made_one_away(data: Path, tmp_path: Path) -> None:
    with pytest.raises(Aborted):
        archive.write(data, tmp_path / "b.zip", 5, aborted=lambda: True)
    assert names(tmp_path) == ["data"]


# ---------------------------------------------------------------- the commands
def test_the_commands(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EASEL_DATA_DIR", str(data))
    assert main(["backup"]) == 0
    (made,) = keeping.found(data / "backups")
    assert f"Wrote {made} and read it again: the database and 3 pictures" in capsys.readouterr().out
    assert main(["backup", "--to", str(tmp_path / "one.zip")]) == 0
    assert main(["restore", str(tmp_path / "one.zip"), "--check"]) == 0
    assert f"{tmp_path / 'one.zip'} is whole" in capsys.readouterr().out
    assert main(["restore", str(tmp_path / "one.zip")]) == 0
    assert "What was there before is in" in capsys.readouterr().out
    truncated(tmp_path / "one.zip")
    assert main(["restore", str(tmp_path / "one.zip"), "--check"]) == 2
    assert "is no whole backup" in capsys.readouterr().err
    assert main(["backup", "--to", str(tmp_path / "one.zip" / "there")]) == 2
    assert "could not be written" in capsys.readouterr().err
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path / "nowhere"))
    assert main(["backup"]) == 2
    assert "There is no database" in capsys.readouterr().err


async def test_who_was_forgotten_since_is_forgotten_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, clock, ann, ben = tmp_path / "data", SystemClock(), 10, 11
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EASEL_DATA_DIR", str(folder))
    async with workbench(folder, clock) as bench:
        for member in (ann, ben):
            await bench.jobs.submit(asked(user_id=member, num_images=1))
        await bench.idle()
        archive.write(folder, tmp_path / "b.zip", 5)
        await Privacy(bench.store.db, bench.jobs, bench.files, bench.dispatcher, clock).forget(ann)
    assert await asyncio.to_thread(main, ["restore", str(tmp_path / "b.zip")]) == 0
    assert "Asked to be forgotten since then: 1." in capsys.readouterr().out
    async with workbench(folder, clock) as bench:
        assert await bench.store.db.read(users.find, ann) is not None
        await Privacy(bench.store.db, bench.jobs, bench.files, bench.dispatcher, clock).finish_erasures()
        assert await bench.store.db.read(users.find, ann) is None
        assert await bench.store.db.read(users.find, ben) is not None
        assert len(files(folder)) == 1


def test_a_damaged_database_is_told_of_its_backup(data: Path) -> None:
    made, _ = keeping.make(data, data / "backups", 7, 5)
    (data / "easel.db").write_bytes(b"hello" * 1000)
    with pytest.raises(CorruptDatabase, match=f"easel restore {made}"):
        migrate(data / "easel.db", 0)


async def test_what_is_deleted_while_a_backup_is_made_does_not_spoil_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, copied = tmp_path / "b.zip", migrations.backup

    def snapshot_and_deletion(source: Path, to: Path) -> None:
        copied(source, to)
        with closing(sqlite3.connect(data / "easel.db")) as db:
            (path,) = db.execute("DELETE FROM image WHERE id = 1 RETURNING rel_path").fetchone()
            db.commit()
        (data / "images" / path).unlink()

    with monkeypatch.context() as patched:
        patched.setattr(migrations, "backup", snapshot_and_deletion)
        contents = archive.write(data, target, 5)
    assert (len(contents.missing), len(contents.deleted)) == (0, 1)
    assert archive.verify(target, tmp_path) == contents
    restore(target, data, 6)


# ---------------------------------------------------------------- the drill
async def test_a_backup_taken_under_load_delivers_what_was_owed(tmp_path: Path) -> None:
    """A process is busy with jobs; backups are taken beside it, it is killed, and each is put back and started."""
    live, path = tmp_path / "live", os.pathsep.join([str(HERE), str(HERE.parents[1])])
    live.mkdir()
    command = [sys.executable, str(HERE / "chaos.py"), str(live), "1"]
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, "PYTHONPATH": path})
    taken = []
    try:
        for number in (1, 2, 3):
            acknowledged = len(lines(live / "acks.jsonl"))

            async def some_more(before: int = acknowledged) -> bool:
                return len(lines(live / "acks.jsonl")) >= before + 5

            await until(some_more, 60)
            known = {line["job"] for line in lines(live / "acks.jsonl")}
            target = tmp_path / f"{number}.zip"
            contents = await asyncio.to_thread(archive.write, live, target, number)
            taken.append((target, known, contents))
    finally:
        process.kill()
        await process.wait()
    for target, known, contents in taken:
        await put_back_and_checked(target, known, contents, tmp_path / target.stem)


async def put_back_and_checked(target: Path, known: set[int], contents: archive.Contents, folder: Path) -> None:
    assert contents.missing == ()
    restore(target, folder, 9)
    post = FilePost(folder / "discord.jsonl", random.Random(1))
    async with workbench(folder, SystemClock(), engine=FakeEngine(), post=post, **SETTINGS) as bench:
        await bench.idle(120)
        assert await upkeep(bench, ManualClock(SystemClock().now_ms() + 2 * DAY_MS)).once() == []
    jobs = {number: job for number, job in all_jobs(folder / "easel.db").items() if job["user"]}
    assert known <= jobs.keys(), "what was acknowledged before the backup is in it"
    assert {job["state"] for job in jobs.values()} <= {"done", "failed", "cancelled"}
    sent = [line for line in lines(folder / "discord.jsonl") if line["job"] in jobs]
    check_files(folder, sent, contents.deleted)
    delivered_here = {line["job"] for line in sent}
    check_messages([], {number: job for number, job in jobs.items() if number in delivered_here}, sent)


async def test_jobs_that_were_waiting_are_painted(tmp_path: Path) -> None:
    async with workbench(tmp_path / "data", ManualClock(), start=False) as bench:
        await bench.jobs.submit(asked())
        archive.write(tmp_path / "data", tmp_path / "b.zip", 5)
    restore(tmp_path / "b.zip", tmp_path / "new", 6)
    post = Postman()
    async with workbench(tmp_path / "new", ManualClock(), post=post) as bench:
        await bench.idle()
    assert [(kind, count) for _, kind, count in post.sent] == [("result", 4)]


def test_what_a_killed_one_left_is_cleared_unless_another_is_being_made(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    (folder / "backup-of-the-dead").mkdir(parents=True)
    with lock.sharing(folder, lambda: None):
        keeping.make(data, folder, 3, 10**12)
        assert (folder / "backup-of-the-dead").exists(), "somebody else is at work"
    keeping.make(data, folder, 3, 2 * 10**12)
    assert sorted(path.suffix for path in folder.iterdir()) == [".zip", ".zip"]
