"""/settings: how a member likes their images."""

from __future__ import annotations

from typing import Protocol

import discord
from discord import app_commands

from bot.features.settings import views as settings_views
from bot.features.settings.service import PreferenceService
from bot.features.settings.store import Preferences
from bot.features.settings.views import FIELDS, Setting
from bot.kit import modals
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.kit.error_messages import shows_errors
from bot.orders import drafts
from engine.backend import Backend


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    preferences: PreferenceService


def install(client: Client, app: Services) -> None:
    """Add the commands and their buttons to the client."""

    @client.tree.command(name="settings")
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @shows_errors
    async def settings_(interaction: Interaction) -> None:
        """Choose how you like your images: model, size, variations, privacy."""
        mine = await app.preferences.preferences(interaction.user.id)
        await interaction.response.send_message(view=_panel(app, interaction, mine), ephemeral=True)

    @client.on_select(Action.SETTING)
    async def set_by_list(interaction: Interaction, number: int, values: tuple[str, ...]) -> None:
        setting = settings_views.setting_of(number, settings_views.LISTS)
        await _change(app, interaction, **{FIELDS[setting]: settings_views.value_of(setting, values[0])})

    @client.on_button(Action.SETTING)
    async def set_by_button(interaction: Interaction, number: int) -> None:
        setting, wishes = settings_views.setting_of(number, settings_views.BUTTONS), app.preferences
        mine = await wishes.preferences(interaction.user.id)
        if setting is Setting.SUFFIX:
            await interaction.client.forms.send(interaction, settings_views.suffix_form(mine))
        elif setting is Setting.RESET:
            await _change(
                app, interaction, **{name: getattr(Preferences(), name) for name in (*FIELDS.values(), "suffix")}
            )
        else:
            await _change(app, interaction, **{FIELDS[setting]: not getattr(mine, FIELDS[setting])})

    @client.on_modal(Action.SETTING)
    async def suffix_given(interaction: Interaction, number: int) -> None:
        await _change(app, interaction, suffix=modals.answers(interaction).get("suffix", ""))


def _panel(app: Services, interaction: Interaction, mine: Preferences) -> discord.ui.LayoutView:
    return settings_views.panel(mine, drafts.painting(app.backend.models()))


async def _change(app: Services, interaction: Interaction, **changes: object) -> None:
    """Save the changes and show the panel again."""
    wishes = app.preferences
    mine = await wishes.prefer(interaction.user.id, interaction.guild_id or 0, **changes)
    await interaction.response.edit_message(view=_panel(app, interaction, mine))
