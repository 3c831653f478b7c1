"""What Easel posts by itself: audit entries in the audit channel, and what admins tell everybody."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import discord

from bot.features.audit.service import Audit
from bot.features.audit.store import AuditEntry
from bot.features.audit.views import audit_line
from bot.features.moderation.service import Moderation, pause_sentence
from bot.kit.components import NOBODY, listing, notice

log = logging.getLogger(__name__)
AT_ONCE = 10  # entries of one message
MAX_TOLD = 10_000  # remembered; then everybody may hear a notice again
PACE_S = 2.0  # between messages of one server: Discord allows five in five seconds


class AuditChannel:
    """Posts each audit entry into its server's audit channel, several at once when many come."""

    def __init__(self, client: discord.Client, audit: Audit, moderation: Moderation) -> None:
        self._client, self._moderation = client, moderation
        self._waiting: dict[int, list[AuditEntry]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._told: set[tuple[int, int, str]] = set()
        audit.listeners.append(self._heard)

    async def tell(self, interaction: discord.Interaction[Any]) -> None:
        """Show what admins have to say to everybody, once a person and sentence. After the answer itself."""
        for pause in await self._moderation.pauses(interaction.guild_id or 0):
            key = (interaction.user.id, pause.guild_id, pause.sentence)
            if pause.mode == "notice" and key not in self._told:
                if len(self._told) >= MAX_TOLD:
                    self._told.clear()
                self._told.add(key)
                view = notice(f"📢 {pause_sentence(pause)}")
                with suppress(discord.HTTPException):  # the job is queued: that must not look like a failure
                    await interaction.followup.send(view=view, ephemeral=True)

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
            rules = await self._moderation.rules(guild_id)
            if rules.audit_channel is None:
                return
            channel = self._client.get_partial_messageable(rules.audit_channel)
            for start in range(0, len(entries), AT_ONCE):
                view = listing("Audit", map(audit_line, entries[start : start + AT_ONCE]), "")
                try:
                    await channel.send(view=view, allowed_mentions=NOBODY, silent=True)
                except discord.HTTPException as error:
                    log.warning("the audit channel of server %d is closed to us: %s", guild_id, error)
                    return
                await asyncio.sleep(PACE_S)
