"""The pictures' disk isn't mounted, at the start or in the middle: nothing is lost, refunded or written beside it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from bot.backup import archive, restore
from bot.errors import PicturesAway
from bot.jobs import outbox, run
from bot.jobs.files import MARK, ImageFiles
from bot.jobs.outbox import Receipt
from bot.jobs.records import Job, OutboxEntry, StoredImage
from bot.store.clock import ManualClock
from bot.store.errors import BackupBroken
from bot.upkeep.stray_files import StrayFiles
from engine.fake import FakeEngine
from tests.services.workbench import Postman, Workbench, asked, until, workbench


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "DISK_PAUSE_S", 0.02)
    monkeypatch.setattr(outbox, "BEHIND_S", 0.0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class Disk:
    """The folder of the pictures as a mount point."""

    def __init__(self, folder: Path) -> None:
        self.point, self.taken_off = folder / "images", folder / "disk"

    def unmount(self) -> None:
        self.point.rename(self.taken_off)
        self.point.mkdir()

    def mount(self) -> None:
        assert list(self.point.iterdir()) == [], "nothing was written where the disk is to be"
        self.point.rmdir()
        self.taken_off.rename(self.point)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


class Courier(Postman):
    """Reads what it delivers."""

    files: ImageFiles

    async def deliver(self, owed: OutboxEntry, job: Job, images: Sequence[StoredImage]) -> Receipt:
        for image in images:
            await self.files.read(image.path, image.sha256)
        return await super().deliver(owed, job, images)


async def begun(bench: Workbench, clock: ManualClock) -> StrayFiles:
    strays = StrayFiles(bench.store.db, bench.files, clock)
    await strays.begin()
    return strays


async def test_in_the_middle_everything_waits_and_goes_on(tmp_path: Path, clock: ManualClock, disk: Disk) -> None:
    async with workbench(tmp_path, clock, engine=FakeEngine(step_s=0.005)) as bench:
        strays = await begun(bench, clock)
        first = await bench.jobs.submit(asked())
        await bench.idle()
        upload = await bench.jobs.store_input(Image.new("RGB", (8, 8)))
        painting, waiting = await bench.jobs.submit(asked()), await bench.jobs.submit(asked())
        await bench.heard("Progress")
        disk.unmount()
        with pytest.raises(PicturesAway, match="isn't there right now"):
            await bench.jobs.submit(asked())
        with pytest.raises(PicturesAway):
            await bench.jobs.store_input(Image.new("RGB", (8, 8), "red"))
        [shown, *_] = await bench.jobs.images(first.id)
        with pytest.raises(PicturesAway):
            await bench.files.read(shown.path, shown.sha256)
        await bench.jobs.delete(first.id, by=10)
        await strays.look_at_all()
        await asyncio.sleep(0.1)
        states = {(await bench.store.job(job.id)).state for job in (painting, waiting)}
        assert states <= {"running", "queued", "rendered"}
        assert strays.lost == {}
        disk.mount()
        await bench.idle()
        assert sorted(bench.post.sent)[-2:] == [(painting.id, "result", 4), (waiting.id, "result", 4)]
        await bench.jobs.remove_ended_files()
        left = {path.name.partition("-")[0] for path in disk.point.rglob("*.png")}
        assert left == {str(painting.id), str(waiting.id), upload}, "what was deleted meanwhile is gone, too"


async def test_at_the_start_it_is_told_and_waited_for(
    tmp_path: Path, clock: ManualClock, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    async with workbench(tmp_path, clock) as bench:
        await begun(bench, clock)
        await bench.outbox.stop()
        job = await bench.jobs.submit(asked())

        async def painted() -> bool:
            return (await bench.store.job(job.id)).state == "rendered"

        await until(painted)
    disk.unmount()
    async with workbench(tmp_path, clock, post=Courier(), start=False) as bench:
        bench.post.files = bench.files
        strays = await begun(bench, clock)
        assert f"touch {disk.point / MARK}" in caplog.text
        await bench.dispatcher.start()
        await bench.outbox.start()
        await strays.look()
        await asyncio.sleep(0.1)
        assert (await bench.store.job(job.id)).state == "rendered", "neither delivered nor refunded"
        assert [record for record in caplog.records if record.levelno == logging.CRITICAL][1:] == [], "told once"
        disk.mount()
        await bench.idle()
        assert bench.post.sent == [(job.id, "result", 4)]
        assert (await bench.store.job(job.id)).charged_mc == 4000


async def test_pictures_that_are_gone_for_good_are_given_up_by_hand(
    tmp_path: Path, clock: ManualClock, disk: Disk
) -> None:
    async with workbench(tmp_path, clock) as bench:
        strays = await begun(bench, clock)
        await bench.jobs.submit(asked())
        await bench.idle()
        disk.unmount()
        await strays.look_at_all()
        (disk.point / MARK).touch()
        await strays.look_at_all()
        assert (disk.point / MARK).read_text("utf-8").strip()
        await bench.jobs.submit(asked(seed=8))
        await bench.idle()
        assert len(list(disk.point.rglob("*.png"))) == 4


async def test_a_mark_that_somebody_removed_is_made_again(tmp_path: Path, clock: ManualClock, disk: Disk) -> None:
    async with workbench(tmp_path, clock) as bench:
        strays = await begun(bench, clock)
        (disk.point / MARK).unlink()
        await strays.look()
        await bench.jobs.submit(asked())  # there were no pictures, so none were lost
        await bench.idle()
        (disk.point / MARK).unlink()
        await strays.look()
        assert (disk.point / MARK).exists(), "the pictures are known"


async def test_a_backup_without_the_disk_is_refused_and_one_with_it_brings_the_mark(
    tmp_path: Path, clock: ManualClock
) -> None:
    data, target = tmp_path / "data", tmp_path / "easel.zip"
    async with workbench(data, clock) as bench:
        await begun(bench, clock)
        await bench.jobs.submit(asked())
        await bench.idle()
    disk = Disk(data)
    disk.unmount()
    with pytest.raises(BackupBroken, match="The disk with the pictures isn't there"):
        archive.write(data, target, clock.now_ms())
    disk.mount()
    assert archive.write(data, target, clock.now_ms()).pictures == 4
    restore.restore(target, data, clock.now_ms())
    async with workbench(data, clock) as bench:
        await begun(bench, clock)
        await bench.jobs.submit(asked())
        await bench.idle()
