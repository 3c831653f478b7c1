"""The clock a month ahead for a while, or days back: whatever goes by time does nothing before that is believed."""

from __future__ import annotations

import ast
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot import app
from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.store import key_values, users
from bot.store.clock import DAY_MS, LASTS_MS, ManualClock, SystemClock
from engine.fake import FakeEngine
from tests.e2e.conftest import unhurried
from tests.e2e.screen import paint, press
from tests.store.test_clock import MONTH_MS, Machine

__all__ = ["unhurried"]
ROOT = Path(__file__).parents[2]
GONE_GUILD = 999
BY_OTHER_CLOCKS = {
    "bot/store/clock.py",
    "bot/cli/marks.py",  # a certificate, made by a person who can see its dates
    "bot/features/operations/heartbeat.py",  # the writer and the reader ask the same machine
    "bot/features/operations/pulse.py",
    "bot/features/workers/drains.py",
    "bot/features/workers/service.py",
}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine that the app asks for the time; the simulated Discord has a clock of its own."""
    now_ms = SystemClock().now_ms()
    day_ms, hours_ms = now_ms - now_ms % DAY_MS, DAY_MS - 4 * LASTS_MS
    found = Machine(ManualClock(min(now_ms, day_ms + hours_ms)))  # a day's credits must not end while a jump is doubted
    monkeypatch.setattr(app, "SteadyClock", lambda: found.clock)
    return found


@pytest.fixture
async def studio(machine: Machine, tmp_path: Path) -> AsyncIterator[Stage]:
    settings = Settings(
        _env_file=None, data_dir=tmp_path / "data", min_free_mib=0, retention_days=30, backup_every_hours=24
    )
    async with stage(settings, ("Ann", "Ben", "Cal"), make_engine=FakeEngine) as running:
        yield running
        assert await running.app.store.problems() == []


async def furnish(studio: Stage) -> None:
    """Something of everything that ends with time."""
    easel, ada = studio.app, studio.members["Ada"]
    single = (await press(studio, await paint(studio, "a red boat"), "U1")).response
    await press(studio, single, "Vary (Region)")
    await paint(studio, "a blue boat", who="Ben")
    await easel.privacy.forget(studio.members["Ben"].id)  # leaves a hash until the period ends
    await ada.slash(studio.channel, "admin ban", user=studio.members["Cal"], until="7d")
    now_ms = easel.clock.now_ms()
    await easel.store.write(users.ensure_guild, GONE_GUILD, now_ms)
    await easel.maintenance.guild_left(GONE_GUILD)
    asked = (now_ms - key_values.DISCORD_EPOCH_MS) << 22
    await easel.key_values.remember(f"batch:{asked}", "[1]")
    await easel.key_values.remember(f"offer:{asked}", "[1]")
    await easel.reconciler.once()
    await easel.privacy.overwrite_traces()


def world(studio: Stage) -> dict[str, Any]:
    """Every row and file, but the note of the time itself."""
    with closing(sqlite3.connect(studio.settings.database_path)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows: dict[str, Any] = {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    rows["note"] = [note for note in rows["note"] if note[0] not in ("last seen", "upkeep")]
    images = sorted(path.name for path in studio.settings.images_dir.rglob("*.png"))
    return rows | {"images": images, "backups": sorted(path.name for path in studio.settings.backups_dir.iterdir())}


async def all_that_goes_by_time(studio: Stage) -> None:
    easel = studio.app
    assert await easel.reconciler.once() == []
    await easel.maintenance.once_a_day()
    await easel.backups.once()


async def test_nothing_ends_before_a_jump_is_believed(studio: Stage, machine: Machine) -> None:
    await furnish(studio)
    await all_that_goes_by_time(studio)
    before = world(studio)
    assert all(before[table] for table in ("job", "image", "region", "tombstone", "ban", "departure", "backups"))
    for jump_ms in (MONTH_MS, -2 * DAY_MS, -MONTH_MS):
        machine.set(jump_ms)
        await all_that_goes_by_time(studio)
        machine.set(-jump_ms)
        await all_that_goes_by_time(studio)
        assert world(studio) == before
    machine.set(MONTH_MS)
    await all_that_goes_by_time(studio)
    machine.later(LASTS_MS // 2)
    await all_that_goes_by_time(studio)
    assert world(studio) == before
    machine.later(LASTS_MS // 2)
    await all_that_goes_by_time(studio)
    await all_that_goes_by_time(studio)  # what ended just now leaves files to remove
    after = world(studio)
    assert [after[table] for table in ("image", "region", "tombstone", "images")] == [[], [], [], []]
    assert len(after["backups"]) == 2
    assert not [note for note in after["note"] if note[0].startswith(("batch:", "offer:"))]


async def test_no_free_credits_and_no_end_of_a_ban_by_a_wrong_clock(studio: Stage, machine: Machine) -> None:
    ann, guild = studio.members["Ann"].id, studio.guild.id
    began_ms, painted = studio.app.clock.now_ms() - machine.on_ms, []

    async def paints() -> None:
        """Paint a grid, and note on which true day."""
        await paint(studio)
        painted.append((began_ms + machine.on_ms) // DAY_MS)

    async def left_mc() -> int:
        return (await studio.app.credits.balance(ann, guild)).free_mc

    await paints()
    await studio.members["Ada"].slash(studio.channel, "admin ban", user=studio.members["Cal"], until="7d")
    for jump_ms in (MONTH_MS, -2 * MONTH_MS):
        machine.set(jump_ms)
        machine.later(2 * LASTS_MS)  # Discord contradicts it meanwhile, with everything that somebody does
        await paints()
        await studio.members["Cal"].slash(studio.channel, "imagine", prompt="a boat")
    assert await left_mc() == 100_000 - painted.count(painted[-1]) * 4_000  # a new day's are no more than that
    assert len(await studio.app.jobs.history(studio.members["Cal"].id, guild)) == 0
    machine.set(MONTH_MS)
    await paints()
    assert await left_mc() == 100_000 - painted.count(painted[-1]) * 4_000


async def test_what_is_owed_does_not_wait_for_a_clock_that_went_back(studio: Stage, machine: Machine) -> None:
    jobs, clock = studio.app.job_store, studio.app.clock
    await paint(studio)
    await studio.app.outbox.stop()
    await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a blue boat")
    while not (owed := await jobs.due_deliveries()):
        await studio.app.store.read(lambda db: None)
    await jobs.delivery_failed(owed[0].id, retry_at_ms=clock.now_ms() + 2_000)
    for jump_ms in (-2 * DAY_MS, 2 * DAY_MS + MONTH_MS, -MONTH_MS):
        machine.set(jump_ms)
        assert await jobs.next_delivery_ms() == clock.now_ms() + 2_000
    machine.later(2_000)
    assert await jobs.due_deliveries()
    machine.set(-20 * 3_600_000)  # less than a day is followed; the reconciler lets nothing wait for it
    assert await studio.app.reconciler.once() == []
    machine.later(300_000)
    assert await jobs.due_deliveries()
    await studio.app.outbox.start()
    await studio.idle()


def test_everybody_asks_the_one_clock() -> None:
    asks = {("time", "time"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today"), ("time", "time_ns")}
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "bot").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in asks
    }
    assert found == BY_OTHER_CLOCKS
