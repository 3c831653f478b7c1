"""The one button class: its state is its id, so it outlives the message's process."""

from __future__ import annotations

import re
from typing import Any, Protocol, Self, cast

import discord

from bot.kit.custom_ids import TEMPLATE, Action, ButtonId


class ButtonClient(Protocol):
    """The client, as buttons see it."""

    async def pressed(self, interaction: discord.Interaction[Any], button: ButtonId) -> None:
        """Carry out a press; reports every error to the person itself."""
        ...


class Button(discord.ui.DynamicItem[discord.ui.Button[Any]], template=TEMPLATE):
    """A button whose press the client carries out.

    discord.py only logs what a dynamic item's callback raises, and drops the class for the whole bot when a view that
    mixes it with plain items ends: so messages carry this class only, and `ButtonClient.pressed` reports errors.
    """

    def __init__(
        self,
        press: ButtonId,
        label: str,
        *,
        style: discord.ButtonStyle = discord.ButtonStyle.secondary,
        emoji: str | None = None,
        disabled: bool = False,
    ) -> None:
        super().__init__(
            discord.ui.Button(label=label or None, custom_id=str(press), style=style, emoji=emoji, disabled=disabled)
        )
        self.press = press

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        press = ButtonId.parse(match.group())
        return cls(press or ButtonId(Action.SHOW, 0), "?")

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await cast(ButtonClient, interaction.client).pressed(interaction, self.press)
