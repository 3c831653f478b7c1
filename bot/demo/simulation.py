"""Easel without Discord: the same bot in a simulated server, for trying it in a browser and for tests."""

from __future__ import annotations

import asyncio
import io
import webbrowser
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import discord
import simcord
from PIL import Image, ImageDraw

from bot import process
from bot.app import App, engine_for
from bot.config import Settings
from bot.demo.page import LivePage, dress_bot, person, simulated
from bot.errors import NotFound
from bot.kit.client import Client
from bot.process import Stopping
from engine.backend import Backend

GUILD_ID = 4_194_304_000
CHANNEL = "easel"
FIRST_USER_ID = 8_388_608_000
REPOSTED = 6  # jobs of the last run shown again at start
POLL_S = 0.02
SPARE_S = 15.0  # beyond what running jobs get, for everything else that is stopped


@dataclass(slots=True)
class Stage:
    """A running Easel with a simulated server around it."""

    settings: Settings
    env: simcord.Env
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


@asynccontextmanager
async def stage(
    settings: Settings,
    members: Sequence[str] = ("Ann", "Ben"),
    admins: Sequence[str] = ("Ada",),
    *,
    make_engine: Callable[[], Backend] | None = None,
) -> AsyncIterator[Stage]:
    """The bot in a server with these people; `make_engine` gives another engine than the settings describe."""
    make = make_engine or (lambda: engine_for(settings))
    app = _app(settings, make())
    await app.__aenter__()
    running: Stage | None = None
    try:
        async with simulated(app.client) as env:
            guild = env.create_guild("Easel's studio", id=GUILD_ID)
            channel = guild.create_text_channel(CHANNEL, topic="Type /imagine and what you would like to see")
            people = _people(env, guild, members, admins)
            running = Stage(settings, env, guild, channel, people, make, app)
            await app.start()
            try:
                yield running
            finally:
                await running.app.__aexit__(None, None, None)
    finally:
        if running is None:
            await app.__aexit__(None, None, None)


def run(settings: Settings, *, port: int = 0, open_browser: bool = True) -> None:
    """Serve the demo's page until Ctrl-C."""
    process.run(lambda stopping: _run(settings, stopping, port, open_browser), settings.shutdown_grace_s + SPARE_S)


async def _run(settings: Settings, stopping: Stopping, port: int, open_browser: bool) -> None:
    async with stage(_for_demo(settings)) as running:
        await _repost(running)
        assets = dress_bot(running.env, "Easel", _avatar())
        viewers = list(running.members.values())
        async with LivePage(running.env, running.channel, viewers, port=port, assets=assets) as page:
            stopping.ready()
            print(
                f"Easel's demo is at {page.url}",
                f"Its data is in {settings.data_dir}. Ctrl-C ends it.",
                sep="\n",
                flush=True,
            )
            if open_browser:
                await asyncio.to_thread(webbrowser.open, page.url)
            closed = asyncio.create_task(page.wait_closed())
            stopped = asyncio.create_task(stopping.wait())
            await asyncio.wait({closed, stopped}, return_when=asyncio.FIRST_COMPLETED)
            closed.cancel(), stopped.cancel()


def _for_demo(settings: Settings) -> Settings:
    """The settings without any list of servers, and with the mask editor: browser and bot are on one machine here."""
    editor = {} if settings.web_address else {"web_address": "auto", "web_port": 0}
    return settings.model_copy(update={"servers": (), **editor})


def _app(settings: Settings, engine: Backend) -> App:
    # the simulated Discord is new in every run, so the commands must be published again
    return App(settings, engine, shard_count=1, always_sync=True)


def _people(
    env: simcord.Env, guild: simcord.GuildHandle, members: Sequence[str], admins: Sequence[str]
) -> dict[str, simcord.MemberActor]:
    role = guild.create_role("Admin", permissions=discord.Permissions(administrator=True))
    people = {}
    for number, name in enumerate([*members, *admins]):
        user = person(env, FIRST_USER_ID + number, name)
        people[name] = guild.add_member(user, roles=[role] if name in admins else [])
    return people


async def _repost(running: Stage) -> None:
    """Show the newest jobs of earlier runs again: the simulated Discord forgets them, Easel does not."""
    jobs_of, delivery = running.app.jobs, running.app.messages
    jobs = [
        job
        for member in running.members.values()
        for job in await jobs_of.history(member.id, GUILD_ID, limit=REPOSTED)
        if job.state == "done" and not job.private
    ]
    channel = running.bot.get_partial_messageable(running.channel.id)
    for job in sorted(jobs, key=lambda job: job.id)[-REPOSTED:]:
        with suppress(NotFound):  # their files were removed
            view, upload = await delivery.result(job, await jobs_of.images(job.id))
            await channel.send(view=view, file=discord.File(io.BytesIO(upload.data), filename=upload.name))


def _avatar() -> bytes:
    """An easel with a little picture on it."""
    image = Image.new("RGB", (256, 256), (91, 141, 239))
    draw = ImageDraw.Draw(image)
    for leg in ((128, 40, 60, 226), (128, 40, 196, 226), (128, 40, 128, 226)):
        draw.line(leg, fill=(110, 72, 46), width=12)
    draw.rounded_rectangle((58, 70, 198, 176), 8, fill=(255, 253, 246), outline=(110, 72, 46), width=6)
    draw.ellipse((146, 84, 178, 116), fill=(250, 208, 52))
    draw.polygon([(70, 164), (108, 108), (146, 164)], fill=(72, 168, 82))
    draw.polygon([(112, 164), (142, 128), (184, 164)], fill=(54, 110, 222))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


__all__ = ["Stage", "run", "stage"]
