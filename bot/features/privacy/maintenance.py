"""What happens by itself once a day: old jobs, left servers and open questions are forgotten. Knows no Discord."""

from __future__ import annotations

import asyncio
import logging

from bot.features.privacy import store as privacy_store
from bot.features.privacy.service import Privacy
from bot.features.region import store as region_store
from bot.jobs import images
from bot.loops import Loop
from bot.store import key_values
from bot.store.clock import DAY_MS, Clock
from bot.store.store import Store

log = logging.getLogger(__name__)
LEFT_DAYS = 30  # a server that comes back sooner finds everything
OFFER_DAYS = 30  # what a message offers to paint can be had by asking again
LOOK_S = 600.0  # how often the clock is looked at
LAST = "upkeep"  # note: the day of the last upkeep, in days since the epoch


class Maintenance:
    """The daily task; `retention_days` 0 = pictures are kept until somebody deletes them."""

    def __init__(self, store: Store, privacy_service: Privacy, clock: Clock, retention_days: int) -> None:
        self._store, self._privacy, self._clock = store, privacy_service, clock
        self._retention_days = retention_days
        self.loop = Loop("maintenance", self._serve, longest_s=6 * 3600)

    async def start(self, guild_ids: frozenset[int]) -> None:
        """Compare the servers that are known with those the bot is in, then look every ten minutes for a new day."""
        await self._store.write(privacy_store.compare_guilds, guild_ids, self._clock.now_ms())
        await self._store.write(region_store.drop_old, self._clock.now_ms())
        self.loop.start()

    async def stop(self) -> None:
        await self.loop.stop()

    async def guild_left(self, guild_id: int) -> None:
        """A server removed the bot: it is forgotten in `LEFT_DAYS`, unless it returns."""
        await self._store.write(privacy_store.left, guild_id, self._clock.now_ms())

    async def guild_joined(self, guild_id: int) -> None:
        await self._store.write(privacy_store.returned, guild_id)

    async def once_a_day(self) -> bool:
        """Do the day's work, if it is not done; whether it was done now."""
        today = self._clock.now_ms() // DAY_MS
        last = await self._store.read(key_values.recall, LAST)
        if last is not None and int(last) >= today:
            return False
        await self._tidy(self._clock.now_ms())
        await self._store.write(key_values.remember, LAST, str(today))
        return True

    async def _tidy(self, now_ms: int) -> None:
        left = await self._store.read(privacy_store.left_before, now_ms - LEFT_DAYS * DAY_MS)
        for guild_id in left:
            await self._privacy.forget_guild(guild_id)
            log.info("the server %d left %d days ago and was forgotten", guild_id, LEFT_DAYS)
        if self._retention_days:
            old = await self._privacy.forget_before(now_ms - self._retention_days * DAY_MS)
            log.info("%d jobs were older than %d days and were forgotten", old, self._retention_days)
        await self._store.write(region_store.drop_old, now_ms)
        await self._store.write(images.drop_unused_inputs, now_ms - DAY_MS)
        await self._store.write(key_values.drop_questions, now_ms - DAY_MS)
        await self._store.write(key_values.drop_offers, now_ms - OFFER_DAYS * DAY_MS)

    async def _serve(self) -> None:
        await self.once_a_day()
        await self._privacy.overwrite_traces()
        await asyncio.sleep(LOOK_S)
