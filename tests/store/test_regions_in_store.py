"""Regions being chosen and links to the mask editor, in a real database."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import NotFound, NotYours
from bot.features.region import store as region_store
from bot.features.region.selection import RegionSelection
from bot.features.region.store import KEPT_MS, TOKEN_MS, EditorPass, NewRegion, Region
from bot.jobs import images as image_rows
from bot.jobs.records import InputImage, StoredFile
from bot.store.clock import DAY_MS, ManualClock
from tests.job_rows import JobRows

SHA = "ab" * 32


@pytest.fixture
def choosing(store: JobRows, clock: ManualClock) -> RegionSelection:
    found = RegionSelection(store.db, clock)
    found.address = "https://easel.example"
    return found


async def opened(choosing: RegionSelection, **changes: object) -> Region:
    values: dict[str, object] = {
        "user_id": 10,
        "guild_id": 1,
        "channel_id": 2,
        "source": SHA,
        "width": 90,
        "height": 60,
    }
    return await choosing.begin(NewRegion(**values | changes))  # type: ignore[arg-type]


async def token_of(choosing: RegionSelection, region: Region, interaction_id: int = 5) -> str:
    new = EditorPass(region=region, interaction_id=interaction_id, application_id=3, reply_token="secret")
    link = await choosing.link(new)
    assert link is not None
    return link.removeprefix("https://easel.example/mask/")


async def test_cells_are_chosen_and_taken_back(choosing: RegionSelection) -> None:
    region = await opened(choosing)
    for cell in (0, 4, 8, 4):
        region = await choosing.press(region.id, cell, 10)
    assert (region.side, region.cells) == (3, {0, 8})
    assert await choosing.get(region.id, 10) == region


async def test_no_press_is_lost_when_many_come_at_once(choosing: RegionSelection) -> None:
    region = await choosing.divide((await opened(choosing)).id, 5, 10)
    await asyncio.gather(*(choosing.press(region.id, cell, 10) for cell in range(25)))
    assert (await choosing.get(region.id, 10)).cells == set(range(25))


async def test_another_grid_begins_empty_and_has_only_its_cells(choosing: RegionSelection) -> None:
    region = await opened(choosing)
    await choosing.press(region.id, 3, 10)
    assert (await choosing.divide(region.id, 5, 10)).cells == frozenset()
    await choosing.divide(region.id, 3, 10)
    assert (await choosing.press(region.id, 9, 10)).cells == frozenset()


async def test_a_region_is_its_persons_only(choosing: RegionSelection) -> None:
    region = await opened(choosing)
    for attempt in (choosing.get(region.id, 11), choosing.press(region.id, 0, 11), choosing.divide(region.id, 5, 11)):
        with pytest.raises(NotYours):
            await attempt
    with pytest.raises(NotFound):
        await choosing.get(region.id + 1, 10)


async def test_a_link_is_used_once_whoever_is_first(choosing: RegionSelection) -> None:
    token = await token_of(choosing, await opened(choosing))
    assert await choosing.look(token) is not None
    used = await asyncio.gather(*(choosing.use(token) for _ in range(20)))
    assert [each is not None for each in used].count(True) == 1
    assert await choosing.look(token) is None


async def test_a_refused_link_is_good_again_and_a_finished_one_holds_no_secret(
    choosing: RegionSelection, tmp_path: Path
) -> None:
    token = await token_of(choosing, await opened(choosing))
    await choosing.use(token)
    await choosing.give_back(token)
    found = await choosing.use(token)
    assert found is not None
    assert found.reply_token == "secret"
    await choosing.finish(token)
    with closing(sqlite3.connect(tmp_path / "easel.db")) as db:
        assert db.execute("SELECT reply_token FROM mask_token").fetchall() == [(None,)]


async def test_a_link_ends_after_an_hour(choosing: RegionSelection, clock: ManualClock) -> None:
    token = await token_of(choosing, await opened(choosing))
    clock.advance(TOKEN_MS / 1000 - 1)
    assert await choosing.look(token) is not None
    clock.advance(1)
    assert await choosing.look(token) is None
    assert await choosing.use(token) is None


async def test_the_database_does_not_hold_the_token(choosing: RegionSelection, tmp_path: Path) -> None:
    token = await token_of(choosing, await opened(choosing))
    assert len(token) == 43
    for name in ("easel.db", "easel.db-wal"):
        assert token.encode() not in await asyncio.to_thread((tmp_path / name).read_bytes)


@pytest.mark.parametrize("token", ["", "x", "\udcff", "é" * 40, "A" * 43])
async def test_unknown_tokens_open_nothing(choosing: RegionSelection, token: str) -> None:
    await token_of(choosing, await opened(choosing))
    assert await choosing.look(token) is None
    assert await choosing.use(token) is None


async def test_without_an_address_there_is_no_link(choosing: RegionSelection) -> None:
    choosing.address = None
    new = EditorPass(region=await opened(choosing), interaction_id=5, application_id=3, reply_token=None)
    assert await choosing.link(new) is None


async def test_a_picture_is_kept_as_long_as_a_region_of_it_may_be_chosen(
    choosing: RegionSelection, store: JobRows, clock: ManualClock
) -> None:
    file = StoredFile(path=f"inputs/ab/{SHA}.png", sha256=SHA, bytes=9)
    await store.store_input(InputImage(file=file, width=90, height=60))
    region = await opened(choosing)
    clock.advance(7200)
    await store.forget_expired()
    assert (await store.input_image(SHA)).width == 90
    clock.advance(KEPT_MS / 1000)
    await store.write(region_store.drop_old, clock.now_ms())
    await store.write(image_rows.drop_unused_inputs, clock.now_ms() - DAY_MS)
    with pytest.raises(NotFound):
        await store.input_image(SHA)
    with pytest.raises(NotFound):
        await choosing.get(region.id, 10)


async def test_a_region_goes_with_its_person(choosing: RegionSelection, tmp_path: Path) -> None:
    region = await opened(choosing)
    await token_of(choosing, region)
    with closing(sqlite3.connect(tmp_path / "easel.db")) as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("UPDATE user SET discord_id = NULL")
        db.commit()
    with pytest.raises(NotFound):
        await choosing.get(region.id, 10)
