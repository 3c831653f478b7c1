"""What happens every 15 s for as long as the bot runs: loops go on, parts say how they are, and alerts are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import discord

from bot.config import Settings
from bot.errors import Busy, PicturesAway
from bot.features.operations.alerts import Alerts, Carrier, DirectMessages, Webhook
from bot.features.operations.looks import EngineLook, GatewayLook, WorkersLook
from bot.features.operations.pulse import Look, Pulse
from bot.jobs.files import ImageFiles
from bot.loops import LOOK_S, Loop, Watchdog
from bot.prompt.text import visible
from bot.store.store import Store
from bot.threads.pools import FILES, POOLS, Pool
from engine.backend import Backend


class Watch:
    """Owns the heartbeat."""

    def __init__(
        self,
        settings: Settings,
        client: discord.Client,
        store: Store,
        files: ImageFiles,
        alerts: Alerts,
        backend: Backend,
        loops: Sequence[Loop],
    ) -> None:
        self._settings, self._store, self._files, self._alerts = settings, store, files, alerts
        self._watchdog = Watchdog(loops)
        looks: dict[str, Look] = {"Discord": GatewayLook(client), "database": self._database, "threads": _threads}
        self._engine = EngineLook(backend)
        looks |= {"engine": self._engine, "disk of pictures": self._pictures}
        looks |= {pool.name: partial(_pool, pool) for pool in POOLS}
        self.pulse, self._workers = Pulse(settings.data_dir, looks), WorkersLook(backend)

    async def until_lost(self, lost: Callable[[], str]) -> str:
        """Look again and again until `lost` says why nothing can be painted any more; its sentence."""
        while not (sentence := lost() or self._engine.hopeless):
            await self._watchdog.look()
            await self.pulse.beat()
            for part, problem in self.pulse.lasting.items():
                await self._alerts.tell(part, problem)
            if away := self._workers():
                await self._alerts.tell("workers", away)
            await self._disk()
            await asyncio.sleep(LOOK_S)
        await self._alerts.tell("device", sentence)
        return sentence

    async def _disk(self) -> None:
        try:
            free_mib, least_mib = await self._files.free_mib(), self._settings.min_free_mib
        except (OSError, Busy):  # the pulse says it
            return
        if free_mib < least_mib:
            rule = f"fewer than EASEL_MIN_FREE_MIB ({least_mib:,}): no new jobs are taken"
            await self._alerts.tell("disk", f"{free_mib:,} MiB are free, {rule}.")

    async def _pictures(self) -> str:
        try:
            await FILES.run_always(self._files.check_there)
        except PicturesAway as error:
            return str(error)
        return ""

    async def _database(self) -> str:
        await self._store.read(lambda db: db.execute("SELECT 1").fetchone())
        return ""


async def _threads() -> str:
    """Whether asyncio's own threads are there, which look up addresses."""
    return await asyncio.to_thread(str)


async def _pool(pool: Pool) -> str:
    return pool.look()


def carrier(client: discord.Client, settings: Settings) -> Carrier | None:
    """The way to whoever runs the bot, if one is configured."""
    if url := settings.alert_webhook.get_secret_value().strip():
        return Webhook(url)
    return DirectMessages(client, settings.operators) if settings.operators else None


async def tell_of_server(alerts: Alerts, guild: discord.Guild) -> None:
    """Tell whoever runs the bot that a server added it."""
    name = discord.utils.escape_markdown(visible(guild.name))
    await alerts.tell("servers", f"{name} ({guild.id}, {guild.member_count or '?'} members) added the bot.")
