"""One's own data: complete when exported, gone from every file when deleted; servers that left; what is too old."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import sqlite3
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from workbench import Workbench, asked, workbench

from bot.errors import Busy, NotEnoughCredits, NotFound
from bot.features.audit import store as audit_store
from bot.features.privacy import personal_data
from bot.features.privacy import store as privacy_store
from bot.features.privacy.maintenance import LEFT_DAYS, Maintenance
from bot.features.privacy.service import Privacy
from bot.features.settings import store as preference_store
from bot.features.settings.store import Preferences, ServerDefaults, Style
from bot.store import key_values, users
from bot.store.clock import ManualClock
from bot.store.migrations import migrate

CANARY = "xylophonecanary"
TOKEN = "tokencanary"
ANN, BEN, GUILD = 10, 11, 1
MEGABYTE = 2**20


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def service(bench: Workbench, clock: ManualClock) -> Privacy:
    return Privacy(bench.store.db, bench.jobs, bench.files, bench.dispatcher, clock)


def found(folder: Path, *needles: bytes) -> list[str]:
    """Every file that holds one of the byte strings."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [str(file.relative_to(folder)) for file in files if any(n in file.read_bytes() for n in needles)]


def pictures_in(folder: Path) -> list[Path]:
    return list(folder.rglob("*.png"))


async def busy_life(bench: Workbench, clock: ManualClock) -> bytes:
    """Leave something of Ann in every place; returns bytes of one of her pictures."""
    store = bench.store
    upload = Image.effect_noise((64, 64), 80).convert("RGB")
    sha = await bench.jobs.store_input(upload, ANN)
    await bench.jobs.store_input(Image.effect_noise((48, 48), 80).convert("RGB"), ANN)  # no job uses it
    first = await bench.jobs.submit(asked(CANARY, reply_token=TOKEN, task="img2img", init_image=sha, strength=0.9))
    for n in range(30):  # enough rows that the database moves them between pages
        await bench.jobs.submit(asked(f"{CANARY} {'long ' * n}{n}", num_images=1, price_mc=0, reply_token=TOKEN))
    await bench.jobs.submit(asked("somebody else's boat", user_id=BEN))
    await bench.idle()
    await store.write(preference_store.prefer, ANN, GUILD, Preferences(suffix=CANARY), clock.now_ms())
    await store.write(key_values.remember, "batch:77", json.dumps([ANN, [{"prompt": CANARY}], "imagine", None, False]))
    await store.write(audit_store.add, GUILD, ANN, "prompt.refused", "", {"prompt": CANARY}, clock.now_ms())
    return await bench.files.read((await store.images(first.id))[0].path)


async def test_after_deletion_no_byte_is_left_in_any_file(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        picture = await busy_life(bench, clock)
        backups = tmp_path / "backups"
        await bench.store.db.backup(backups / "before-0099-1.db")
        assert len(found(tmp_path, CANARY.encode(), picture[200:400])) >= 4
        gone = await service(bench, clock).forget(ANN)
        assert gone.jobs == 31
        await service(bench, clock).overwrite_traces()
        assert found(tmp_path, CANARY.encode(), TOKEN.encode(), picture[200:400]) == []
        assert len(pictures_in(tmp_path)) == 4, "another member's pictures stay"
        assert await bench.store.read(users.find, ANN) is None
        assert len(await bench.store.history(BEN, GUILD)) == 1


async def test_jobs_on_their_way_are_cancelled_and_given_back_first(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        bench.engine.step_s = 0.05
        for _ in range(3):
            await bench.jobs.submit(asked(CANARY))
        await bench.heard("Started")
        await service(bench, clock).forget(ANN)
        assert not bench.dispatcher.running
        await service(bench, clock).overwrite_traces()
        assert found(tmp_path, CANARY.encode()) == []
        assert pictures_in(tmp_path) == []


def raises(error: Exception) -> Callable[..., Awaitable[Any]]:
    async def fails(*_: Any) -> None:
        raise error

    return fails


class Cut(BaseException):
    """The process ends here."""


def cut_off(bench: Workbench, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Let the process end before the `at`-th write or removal of files from now on."""
    steps = itertools.count()

    def counted(step: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def either(*args: Any, **options: Any) -> Any:
            if next(steps) >= at:
                raise Cut
            return await step(*args, **options)

        return either

    monkeypatch.setattr(bench.store.db, "write", counted(bench.store.db.write))
    monkeypatch.setattr(bench.files, "delete", counted(bench.files.delete))


async def test_an_erasure_that_is_cut_off_anywhere_is_finished_by_the_next_start(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy_store, "PORTION", 2)
    for at in itertools.count(1):  # the first write is the promise: before it, nothing was acknowledged
        folder, finished = tmp_path / str(at), False
        with suppress(Cut):
            async with workbench(folder, clock) as bench:
                for n in range(5):
                    await bench.jobs.submit(asked(CANARY, seed=n, num_images=2))
                await bench.jobs.store_input(Image.effect_noise((48, 48), 80).convert("RGB"), ANN)
                await bench.idle()
                with monkeypatch.context() as cut:
                    cut_off(bench, cut, at)
                    await service(bench, clock).forget(ANN)
                    finished = True
        async with workbench(folder, clock) as bench:
            await service(bench, clock).finish_erasures()
            await service(bench, clock).overwrite_traces()
            assert pictures_in(folder) == [], f"cut off at step {at}"
            assert found(folder, CANARY.encode()) == []
            assert await bench.store.read(privacy_store.unfinished_erasures) == []
            assert await bench.store.read(users.find, ANN) is None
        if finished:
            assert at > 8, "it was cut off in many places"
            return


async def test_an_erasure_that_the_disk_interrupts_says_that_it_goes_on(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workbench(tmp_path, clock) as bench:
        privacy, told = service(bench, clock), []
        privacy.after.append(told.append)
        await bench.jobs.submit(asked(CANARY))
        await bench.idle()
        with monkeypatch.context() as full:
            full.setattr(bench.store.db, "drop_backups_with", raises(OSError(28, "No space left on device")))
            with pytest.raises(Busy, match="goes on deleting by itself"):
                await privacy.forget(ANN)
        assert told == []
        await privacy.finish_erasures()
        assert told == [ANN]
        assert await bench.store.read(privacy_store.unfinished_erasures) == []


async def test_deleting_never_stops_whoever_is_painting(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, start=False) as bench:
        privacy, rewritten = service(bench, clock), []
        bench.store.db.overwrite = lambda: rewritten.append(clock.now_ms()) or asyncio.sleep(0)  # type: ignore[method-assign]
        await bench.jobs.submit(asked(user_id=BEN))
        for _ in range(3):
            await privacy.forget(ANN)
            await privacy.overwrite_traces()
        assert rewritten == [], "Ben waits"
        clock.advance(86_400)
        await privacy.overwrite_traces()
        await privacy.overwrite_traces()
        assert len(rewritten) == 1, "traces are overwritten after a day at the latest"


async def test_coming_back_brings_what_was_left_of_the_day_and_no_more(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        await bench.jobs.submit(asked())
        await bench.idle()
        await service(bench, clock).forget(ANN)
        assert (await bench.balance(ANN, GUILD)).free_mc == 96_000
        with pytest.raises(NotEnoughCredits):
            await bench.jobs.submit(asked(price_mc=97_000))
        await bench.jobs.submit(asked(price_mc=96_000))
        await bench.idle()
        await service(bench, clock).forget(ANN)
        assert (await bench.balance(ANN, GUILD)).free_mc == 0
        clock.advance(86_400)
        assert (await bench.balance(ANN, GUILD)).free_mc == 100_000


async def test_the_export_is_everything(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        picture = await busy_life(bench, clock)
        archive = await service(bench, clock).export(ANN, 8 * MEGABYTE)
        parts = [part async for part in archive.parts()]
        assert len(parts) == 1
        assert archive.left_out == []
        files = zipfile.ZipFile(io.BytesIO(parts[0]))
        tables = {name: json.loads(files.read(name)) for name in files.namelist() if name.startswith("data/")}
        assert set(tables) == {f"data/{holding.table}.json" for holding in personal_data.PERSONAL}
        assert len(tables["data/job.json"]) == 31
        assert tables["data/job.json"][0]["spec"]["prompt"] == CANARY
        assert tables["data/preference.json"][0]["suffix"] == CANARY
        assert tables["data/transfer.json"]
        assert len(tables["data/input_image.json"]) == 2
        assert tables["data/note.json"][0]["key"] == "batch:77"
        assert files.read("images/job-1-output-1.png") == picture
        assert len([name for name in files.namelist() if name.startswith("uploads/")]) == 2
        everything = b"".join(files.read(name) for name in files.namelist())
        assert TOKEN.encode() not in everything
        assert b"somebody else" not in everything


async def test_an_export_that_is_cut_off_anywhere_is_complete_when_asked_again(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workbench(tmp_path, clock) as bench:
        await busy_life(bench, clock)
        exports = service(bench, clock)
        whole = [part async for part in (await exports.export(ANN, 10 * MEGABYTE)).parts()]
        read, before = bench.files.read, database(tmp_path)
        for at in itertools.count():
            steps = itertools.count()

            async def either(*args: Any, last: int = at, counted: Iterator[int] = steps) -> bytes:
                if next(counted) >= last:
                    raise OSError("the disk is gone")
                return await read(*args)

            monkeypatch.setattr(bench.files, "read", either)
            try:
                parts = [part async for part in (await exports.export(ANN, 10 * MEGABYTE)).parts()]
            except OSError:
                continue
            break
        assert at > 30, "it was cut off at every picture"
        monkeypatch.undo()
        again = [part async for part in (await exports.export(ANN, 10 * MEGABYTE)).parts()]
        assert [members(each) for each in (whole, parts, again)] == [members(whole)] * 3
        assert database(tmp_path) == before, "nothing was changed"


def database(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("easel.db*") if not file.name.endswith("-shm")}


def members(parts: list[bytes]) -> dict[str, bytes]:
    """Every file of an export by name."""
    archives = [zipfile.ZipFile(io.BytesIO(part)) for part in parts]
    return {name: archive.read(name) for archive in archives for name in archive.namelist()}


async def test_a_large_export_is_split_and_says_what_does_not_fit(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        picture = await busy_life(bench, clock)
        archive = await service(bench, clock).export(ANN, len(picture) * 2 + 3000)
        parts = [part async for part in archive.parts()]
        assert len(parts) > 3
        assert all(len(part) <= len(picture) * 2 + 3000 for part in parts)
        assert all(zipfile.ZipFile(io.BytesIO(part)).testzip() is None for part in parts)
        small = await service(bench, clock).export(ANN, 6000)
        assert [part async for part in small.parts()]
        assert any(name.startswith("images/") for name in small.left_out) or len(picture) < 5000


async def test_nobody_has_nothing_to_export(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        with pytest.raises(NotFound):
            await service(bench, clock).export(999, MEGABYTE)


def test_every_table_is_known_to_hold_something_of_a_person_or_nothing(tmp_path: Path) -> None:
    migrate(tmp_path / "easel.db", 0)
    with closing(sqlite3.connect(tmp_path / "easel.db")) as db:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    known = {holding.table for holding in personal_data.PERSONAL} | personal_data.IMPERSONAL
    assert {table for table in tables if not table.startswith("sqlite_")} == known


async def test_a_server_that_left_is_cleaned_after_thirty_days(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        upkeep = Maintenance(bench.store.db, service(bench, clock), clock, retention_days=0)
        await bench.jobs.submit(asked(CANARY))
        await bench.jobs.submit(asked("elsewhere", guild_id=2))
        await bench.idle()
        await bench.store.write(
            preference_store.save_style, GUILD, Style(name="ink", template=f"{CANARY} {{prompt}}"), 0
        )
        await upkeep.guild_left(GUILD)
        clock.advance((LEFT_DAYS - 1) * 86_400)
        assert await upkeep.once_a_day()
        assert found(tmp_path, CANARY.encode())
        clock.advance(2 * 86_400)
        assert await upkeep.once_a_day()
        await service(bench, clock).overwrite_traces()
        assert found(tmp_path, CANARY.encode()) == []
        assert len(await bench.store.history(ANN, 2)) == 1
        assert not await upkeep.once_a_day(), "once a day is enough"


async def test_a_server_that_returns_in_time_finds_everything(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        upkeep = Maintenance(bench.store.db, service(bench, clock), clock, retention_days=0)
        await bench.jobs.submit(asked())
        await bench.idle()
        await bench.store.write(
            privacy_store.compare_guilds, frozenset(), clock.now_ms()
        )  # it left while nobody listened
        clock.advance(20 * 86_400)
        await upkeep.guild_joined(GUILD)
        clock.advance(20 * 86_400)
        await upkeep.once_a_day()
        assert len(await bench.store.history(ANN, GUILD)) == 1


async def test_pictures_older_than_the_retention_are_forgotten(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        upkeep = Maintenance(bench.store.db, service(bench, clock), clock, retention_days=7)
        await bench.jobs.submit(asked(CANARY))
        await bench.idle()
        await bench.store.db.backup(tmp_path / "backups" / f"before-0099-{clock.now_ms()}.db")
        clock.advance(6 * 86_400)
        new = await bench.jobs.submit(asked("a new boat"))
        await bench.idle()
        await upkeep.once_a_day()
        assert len(await bench.store.history(ANN, GUILD)) == 2
        clock.advance(2 * 86_400)
        await upkeep.once_a_day()
        assert [job.id for job in await bench.store.history(ANN, GUILD)] == [new.id]
        await service(bench, clock).overwrite_traces()
        assert found(tmp_path, CANARY.encode()) == []


async def test_settings_of_members_and_servers_are_kept(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        wanted = Preferences(model="mini", shape="3:2", remix=True, subtle=30, previews=False)
        assert await bench.store.read(preference_store.preferences, ANN) == Preferences()
        await bench.store.write(preference_store.prefer, ANN, GUILD, wanted, 0)
        assert await bench.store.read(preference_store.preferences, ANN) == wanted
        assert await bench.store.read(preference_store.without, "previews") == frozenset({ANN})
        defaults = ServerDefaults(model="mini", steps=12, guidance=3.5, styles=("ink", "gold"))
        await bench.store.write(preference_store.set_defaults, GUILD, defaults, 0)
        for name in ("ink", "gold"):
            assert await bench.store.write(preference_store.save_style, GUILD, Style(name=name, template="{prompt}"), 0)
        assert await bench.store.read(preference_store.defaults, GUILD) == defaults
        assert await bench.store.write(preference_store.drop_style, GUILD, "ink")
        assert (await bench.store.read(preference_store.defaults, GUILD)).styles == ("gold",)
        assert [style.name for style in await bench.store.read(preference_store.styles, GUILD)] == ["gold"]


async def test_questions_that_nobody_answers_are_forgotten_after_a_day(tmp_path: Path, clock: ManualClock) -> None:
    def asked(hours_ago: float) -> int:
        return (clock.now_ms() - int(hours_ago * 3_600_000) - 1_420_070_400_000) << 22

    async with workbench(tmp_path, clock) as bench:
        old, young = asked(25), asked(23)
        for key in (f"batch:{old}", f"menu:{old}", f"announce:{old}", f"batch:{young}", "commands:7"):
            await bench.store.write(key_values.remember, key, "[5]")
        await Maintenance(bench.store.db, service(bench, clock), clock, 0).once_a_day()
        kept = [
            await bench.store.read(key_values.recall, key) for key in (f"batch:{old}", f"menu:{old}", f"announce:{old}")
        ]
        assert kept == [None, None, None]
        assert [await bench.store.read(key_values.recall, key) for key in (f"batch:{young}", "commands:7")] == [
            "[5]",
            "[5]",
        ]
