"""Whoever runs the bot is told when it needs a hand: once an hour a kind, also across restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import discord
import pytest
from aiohttp import web

from bot.demo.simulation import Stage, stage
from bot.features.operations import heartbeat
from bot.features.operations.alerts import HOUR_MS, Alerts, Webhook
from bot.features.operations.looks import SILENT_S, GatewayLook
from bot.features.operations.watch import Watch
from bot.loops import LOOK_S
from bot.store.clock import ManualClock
from bot.store.key_value_store import KeyValues
from bot.store.store import Store
from engine.fake import FakeEngine
from tests.e2e.conftest import settings  # noqa: F401

HOUR_S = HOUR_MS / 1000


class Paper:
    """A carrier that keeps what it was given; `broken` = it refuses."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.broken = False

    async def send(self, text: str) -> None:
        if self.broken:
            raise OSError("no way")
        self.told.append(text)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "easel.db", ManualClock()) as opened:
        yield opened


async def test_each_kind_is_told_once_an_hour(store: Store) -> None:
    clock, paper = ManualClock(), Paper()
    alerts = Alerts(paper, KeyValues(store), clock)
    assert await alerts.tell("disk", "1 MiB is free.")
    assert await alerts.tell("backup", "No.")
    for _ in range(3):
        clock.advance(60)
        assert not await alerts.tell("disk", "0 MiB are free.")
    clock.advance(HOUR_S)
    assert await alerts.tell("disk", "Still.")
    assert paper.told == [
        "Easel, disk: 1 MiB is free.",
        "Easel, backup: No.",
        "Easel, disk: Still. (3 more like it were not told.)",
    ]


async def test_a_restart_does_not_tell_again(store: Store) -> None:
    clock, paper = ManualClock(), Paper()
    await Alerts(paper, KeyValues(store), clock).tell("device", "It failed.")
    assert not await Alerts(paper, KeyValues(store), clock).tell("device", "It failed.")
    clock.advance(-2 * HOUR_S)
    assert await Alerts(paper, KeyValues(store), clock).tell("device", "It failed."), "the clock was set back"


async def test_what_could_not_be_told_is_told_the_next_time(store: Store) -> None:
    clock, paper = ManualClock(), Paper()
    alerts = Alerts(paper, KeyValues(store), clock)
    paper.broken = True
    assert not await alerts.tell("disk", "Full.")
    paper.broken = False
    assert not await alerts.tell("disk", "Full."), "not every 15 s"
    clock.advance(301)
    assert await alerts.tell("disk", "Full.")


async def test_a_database_that_fails_is_told_too(store: Store) -> None:
    """It may be what is to be told."""
    paper = Paper()
    alerts = Alerts(paper, KeyValues(store), ManualClock())
    await store.write(lambda db: db.execute("ALTER TABLE note RENAME TO elsewhere"))
    assert await alerts.tell("database", "It fails.")
    assert not await alerts.tell("database", "It fails.")
    await store.write(lambda db: db.execute("ALTER TABLE elsewhere RENAME TO note"))


async def test_without_anybody_to_tell_the_log_has_it(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    alerts = Alerts(None, KeyValues(store), ManualClock())
    await alerts.tell("disk", "Full.")
    await alerts.tell("disk", "Full.")
    assert caplog.text.count("disk: Full.") == 1


async def test_a_webhook_gets_what_discord_and_slack_read(store: Store) -> None:
    got: list[dict[str, object]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response(status=204 if len(got) == 1 else 500)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        clock = ManualClock()
        hook = Webhook(f"http://127.0.0.1:{runner.addresses[0][1]}/hook")
        alerts = Alerts(hook, KeyValues(store), clock)
        assert await alerts.tell("disk", "Full.")
        assert not await alerts.tell("device", "It answers 500.")
    finally:
        await runner.cleanup()
    assert got[0] == {"content": "Easel, disk: Full.", "text": "Easel, disk: Full.", "allowed_mentions": {"parse": []}}


# ---------------------------------------------------------------- on Discord
@pytest.fixture
async def studio(settings) -> AsyncIterator[Stage]:  # type: ignore[no-untyped-def]  # noqa: F811
    chosen = settings.model_copy(update={"operators": (8_388_608_000, 8_388_608_001)})  # Ann and Ben
    async with stage(chosen, make_engine=FakeEngine) as running:
        yield running


def inbox(studio: Stage, name: str) -> list[str]:
    backend = studio.env.backend
    channel = backend.dm_channels.get(studio.members[name].id)
    return [message.content for message in backend.messages[channel].values()] if channel else []


async def test_operators_get_direct_messages(studio: Stage) -> None:
    assert await studio.app.alerts.tell("disk", "1 MiB is free. @everyone")
    assert inbox(studio, "Ann") == inbox(studio, "Ben") == ["Easel, disk: 1 MiB is free. @everyone"]
    assert inbox(studio, "Ada") == []


async def test_closed_messages_of_one_operator_keep_nothing_from_the_other(studio: Stage) -> None:
    ann = studio.members["Ann"].id
    studio.env.inject_error("GET", f"/users/{ann}", status=404, code=10013, times=None)
    await studio.app.alerts.tell("disk", "Full.")
    assert (inbox(studio, "Ann"), inbox(studio, "Ben")) == ([], ["Easel, disk: Full."])


async def test_a_server_that_adds_the_bot_is_told(studio: Stage) -> None:
    guild = studio.bot.get_guild(studio.guild.id)
    assert guild is not None
    await studio.bot.on_guild_join(guild)
    (told,) = inbox(studio, "Ann")
    assert told.startswith("Easel, servers: Easel's studio (4194304000, ")


async def test_a_disk_that_fills_up_and_a_device_that_fails_are_told(studio: Stage, tmp_path: Path) -> None:
    app = studio.app
    tight = studio.settings.model_copy(update={"min_free_mib": 10**9})
    watch = Watch(tight, app.client, app.store, app.files, app.alerts, app.backend, [])
    answers = iter(["", "The device failed."])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("bot.features.operations.watch.LOOK_S", 0.0)
        assert await watch.until_lost(lambda: next(answers)) == "The device failed."
    disk, device = inbox(studio, "Ann")
    assert disk.startswith("Easel, disk: ")
    assert "EASEL_MIN_FREE_MIB (1,000,000,000): no new jobs are taken." in disk
    assert device == "Easel, device: The device failed."
    assert heartbeat.read(tight.data_dir)[0]


async def test_a_connection_that_is_silent_is_made_anew(studio: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    latency_s, made = [0.05], []

    async def reconnect(shard: discord.ShardInfo) -> None:
        made.append(shard.id)

    monkeypatch.setattr(discord.ShardInfo, "latency", property(lambda _: latency_s[0]))
    monkeypatch.setattr(discord.ShardInfo, "reconnect", reconnect)
    look = GatewayLook(studio.app.client)
    for _ in range(20):
        latency_s[0] += 0.001  # each answer takes another time
        assert await look() == ""
    said = [await look() for _ in range(int(SILENT_S / LOOK_S) + 1)]
    assert [each for each in said if each] == ["nothing was heard for 180 s; it connects again."]
    await asyncio.sleep(0)
    assert made == [0]
