"""What admins have to say to everyone who paints, shown under their next answer."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import discord

from bot.features.moderation.service import Moderation, pause_sentence
from bot.kit.components import notice

MAX_TOLD = 10_000  # remembered; then everybody may hear a notice again


class Notices:
    """Tells each notice once a person."""

    def __init__(self, moderation: Moderation) -> None:
        self._moderation = moderation
        self._told: set[tuple[int, int, str]] = set()

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
