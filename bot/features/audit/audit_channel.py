"""The audit channel: each entry of the log, posted where a server wants to read it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import discord

from bot.features.audit.service import Audit
from bot.features.audit.store import AuditEntry
from bot.features.audit.views import audit_line
from bot.kit.components import NOBODY, listing
from bot.kit.interactions import server_locale
from bot.languages.speech import _, speaking

log = logging.getLogger(__name__)
AT_ONCE = 10  # entries of one message
PACE_S = 2.0  # between messages of one server: Discord allows five in five seconds


class AuditChannel:
    """Posts each audit entry into its server's audit channel, several at once when many come."""

    def __init__(
        self, client: discord.Client, audit: Audit, channel_of: Callable[[int], Awaitable[int | None]]
    ) -> None:
        """`channel_of`: the audit channel of a server, None = it has none."""
        self._client, self._channel_of = client, channel_of
        self._waiting: dict[int, list[AuditEntry]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        audit.listeners.append(self._heard)

    async def close(self) -> None:
        """Stop posting; what was not posted stays in the log."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _heard(self, entry: AuditEntry) -> None:
        if not entry.guild_id:
            return
        self._waiting.setdefault(entry.guild_id, []).append(entry)
        if entry.guild_id not in self._tasks:
            task = asyncio.create_task(self._post(entry.guild_id), name=f"audit of {entry.guild_id}")
            self._tasks[entry.guild_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(entry.guild_id, None))

    async def _post(self, guild_id: int) -> None:
        while entries := self._waiting.pop(guild_id, None):
            channel_id = await self._channel_of(guild_id)
            if channel_id is None:
                return
            channel = self._client.get_partial_messageable(channel_id)
            for start in range(0, len(entries), AT_ONCE):
                with speaking(server_locale(self._client.get_guild(guild_id))):
                    view = listing(_("Audit"), map(audit_line, entries[start : start + AT_ONCE]), "")
                try:
                    await channel.send(view=view, allowed_mentions=NOBODY, silent=True)
                except discord.HTTPException as error:
                    log.warning("the audit channel of server %d is closed to us: %s", guild_id, error)
                    return
                await asyncio.sleep(PACE_S)
