"""The one select class: like `Button`, its state is its id, so it outlives the message's process."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, Self, cast

import discord
from discord.ui import ActionRow, LayoutView

from bot.kit.custom_ids import CHOICE_TEMPLATE, SelectId

MAX_OPTIONS = 25  # Discord's
Value = str  # of an option; for people, roles and channels their id


class SelectClient(Protocol):
    """The client, as selects see it."""

    async def chosen(self, interaction: discord.Interaction[Any], choice: SelectId, values: tuple[Value, ...]) -> None:
        """Carry out a choice; reports every error to the person itself."""
        ...


class Select(discord.ui.DynamicItem[Any], template=CHOICE_TEMPLATE):
    """A select that tells the client what was chosen. Its ids begin otherwise than those of buttons, for discord.py
    hands an id to every class whose template fits, whatever kind of component it is."""

    def __init__(self, choice: SelectId, select: Any) -> None:
        super().__init__(select)
        self.choice = choice

    @classmethod
    def text(
        cls,
        choice: SelectId,
        options: Iterable[tuple[str, Value]],
        *,
        now: Sequence[Value] = (),
        placeholder: str = "",
        at_most: int = 1,
        notes: Sequence[str] = (),
    ) -> Self:
        """A list of (label, value) pairs; those of `now` are chosen already. With `at_most` > 1 none is fine too."""
        shown = [
            discord.SelectOption(label=label[:100], value=value[:100], default=value in now)
            for label, value in list(options)[:MAX_OPTIONS]
        ]
        for option, note in zip(shown, notes, strict=False):
            option.description = note[:100] or None
        select: discord.ui.Select[Any] = discord.ui.Select(
            custom_id=str(choice),
            options=shown,
            placeholder=placeholder or None,
            min_values=1 if at_most == 1 else 0,
            max_values=min(at_most, len(shown)),
        )
        return cls(choice, select)

    @classmethod
    def role(cls, choice: SelectId, placeholder: str, *, now: int | None = None, needed: bool = True) -> Self:
        """A role; without `needed` none is fine too."""
        known = discord.SelectDefaultValueType.role
        select: discord.ui.RoleSelect[Any] = discord.ui.RoleSelect(
            custom_id=str(choice),
            placeholder=placeholder,
            min_values=int(needed),
            default_values=[discord.SelectDefaultValue(id=now, type=known)] if now else [],
        )
        return cls(choice, select)

    @classmethod
    def person(cls, choice: SelectId, placeholder: str) -> Self:
        return cls(choice, discord.ui.UserSelect(custom_id=str(choice), placeholder=placeholder))

    @classmethod
    def channel(cls, choice: SelectId, placeholder: str, *, now: Sequence[int] = (), at_most: int = 1) -> Self:
        """Text channels; none is fine too."""
        select: discord.ui.ChannelSelect[Any] = discord.ui.ChannelSelect(
            custom_id=str(choice),
            placeholder=placeholder,
            channel_types=[discord.ChannelType.text],
            min_values=0,
            max_values=at_most,
            default_values=[
                discord.SelectDefaultValue(id=channel_id, type=discord.SelectDefaultValueType.channel)
                for channel_id in now[:at_most]
            ],
        )
        return cls(choice, select)

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(SelectId.read(match), item)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        values = cast(dict[str, Any], interaction.data or {}).get("values", ())
        await cast(SelectClient, interaction.client).chosen(interaction, self.choice, tuple(map(str, values)))


def row_of(select: Select) -> ActionRow[LayoutView]:
    """A row of its own, as Discord wants it."""
    return ActionRow(cast(Any, select))  # a DynamicItem is an Item[BaseView] to the type checker
