"""Easel without Discord: the same bot in a simulated server, for trying it in a browser and for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import discord
import simcord

from bot.app import App
from bot.config import Settings, engine_for
from bot.demo.simulated_discord import SimulatedDiscord, simulated
from bot.kit.client import Client
from bot.languages.speech import N_
from engine.backend import Backend

GUILD_ID = 4_194_304_000
CHANNEL = "easel"
CHANNEL_ID = 4_194_304_001  # the same in every run, so that what was asked for in one is delivered in the next
FIRST_USER_ID = 8_388_608_000
POLL_S = 0.02


@dataclass(slots=True)
class Stage:
    """A running Easel with a simulated server around it."""

    settings: Settings
    env: SimulatedDiscord
    guild: simcord.GuildHandle
    channel: simcord.ChannelHandle
    members: dict[str, simcord.MemberActor]
    make_engine: Callable[[], Backend]
    app: App = field(repr=False)

    @property
    def bot(self) -> Client:
        return self.app.client

    @property
    def engine(self) -> Backend:
        return self.app.backend

    async def idle(self) -> None:
        """Return once every job has ended and everything owed is delivered."""
        while await self.app.jobs.pending():  # noqa: ASYNC110  (the database is the only one who knows)
            await asyncio.sleep(POLL_S)

    async def restart(self) -> None:
        """What a new process would be: new bot, new engine, the same data directory."""
        await self.app.__aexit__(None, None, None)
        self.app = _app(self.settings, self.make_engine())
        await self.app.__aenter__()
        await self.env.restart_bot(self.app.client)
        await self.app.start()


TOPIC = N_("Type /imagine and what you'd like to see")


@asynccontextmanager
async def stage(
    settings: Settings,
    members: Sequence[str] = ("Ann", "Ben"),
    admins: Sequence[str] = ("Ada",),
    moderators: Sequence[str] = (),
    *,
    make_engine: Callable[[], Backend] | None = None,
    live: bool = False,
) -> AsyncIterator[Stage]:
    """The bot in a server with these people; `make_engine` gives another engine than the settings describe.

    Moderators only have the role Moderator: what it means is for an admin to say.

    `live`: time runs and actions don't wait for the bot, as on Discord; otherwise as tests want it.
    """
    make = make_engine or (lambda: engine_for(settings))
    app = _app(settings, make())
    await app.__aenter__()
    running: Stage | None = None
    try:
        async with simulated(app.client, live=live) as env:
            guild = env.create_guild("Easel's studio", id=GUILD_ID)
            env.name_bot("Easel")
            channel = env.text_channel(guild, CHANNEL_ID, CHANNEL, TOPIC)
            people = _people(env, guild, members, admins, moderators)
            running = Stage(settings, env, guild, channel, people, make, app)
            await app.start()
            try:
                yield running
            finally:
                await running.app.__aexit__(None, None, None)
    finally:
        if running is None:
            await app.__aexit__(None, None, None)


def _app(settings: Settings, engine: Backend) -> App:
    # the simulated Discord is new in every run, so the commands must be published again
    return App(settings, engine, shard_count=1, always_sync=True)


def _people(
    env: SimulatedDiscord,
    guild: simcord.GuildHandle,
    members: Sequence[str],
    admins: Sequence[str],
    moderators: Sequence[str] = (),
) -> dict[str, simcord.MemberActor]:
    admin = guild.create_role("Admin", permissions=discord.Permissions(administrator=True))
    moderator = guild.create_role("Moderator")
    people = {}
    for number, name in enumerate([*members, *admins, *moderators]):
        user = env.person(FIRST_USER_ID + number, name)
        roles = [*([admin] if name in admins else []), *([moderator] if name in moderators else [])]
        people[name] = guild.add_member(user, roles=roles)
    return people
