"""The Discord client: routes commands, presses and forms, and reports every error in one place."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import discord
from discord import app_commands

from bot.config import Settings
from bot.delivery.job_messages import JobMessages
from bot.delivery.layouts import Layouts
from bot.errors import UserError
from bot.features.audit.audit_channel import AuditChannel
from bot.features.audit.service import Audit
from bot.features.credits.entitlements import Purchases
from bot.features.credits.service import Credits, Quotas
from bot.features.gallery.poster import Gallery
from bot.features.gallery.service import Stars
from bot.features.moderation.service import Moderation
from bot.features.privacy.maintenance import Maintenance
from bot.features.privacy.service import Privacy
from bot.features.region.selection import RegionSelection
from bot.features.settings.service import PreferenceService
from bot.features.stats import store as statistics
from bot.jobs.files import ImageFiles
from bot.jobs.service import Jobs
from bot.kit import error_messages
from bot.kit.button import Button
from bot.kit.custom_ids import Action, ButtonId, SelectId
from bot.kit.select import Select
from bot.store.clock import Clock
from bot.store.store import Store
from engine.api.types import Backend

log = logging.getLogger(__name__)
Interaction = discord.Interaction["Client"]
Handler = Callable[[Interaction, int], Awaitable[None]]
ChoiceHandler = Callable[[Interaction, int, tuple[str, ...]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """What commands work with."""

    settings: Settings
    backend: Backend
    store: Store
    files: ImageFiles
    jobs: Jobs
    credits: Credits
    quotas: Quotas
    audit: Audit
    privacy: Privacy
    upkeep: Maintenance
    choosing: RegionSelection
    wishes: PreferenceService
    moderation: Moderation
    stars: Stars
    layouts: Layouts
    clock: Clock


class Tree(app_commands.CommandTree["Client"]):
    """The slash commands and menus; whatever they raise is told to the person."""

    async def interaction_check(self, interaction: discord.Interaction[Client], /) -> bool:
        """Asked before every command, menu and completion: the banned get their sentence and nothing else."""
        try:
            await interaction.client.check_person(interaction)
        except UserError as refusal:
            if interaction.type is discord.InteractionType.autocomplete:
                await interaction.response.autocomplete([])
            else:
                await error_messages.answer(interaction, refusal)
            return False
        return True

    async def on_error(self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError, /) -> None:
        await error_messages.answer(interaction, error)


class Client(discord.AutoShardedClient):
    """Easel on Discord. What has no default here is set by `bot.app` before it connects."""

    studio: Studio
    delivery: JobMessages
    notices: AuditChannel
    gallery: Gallery
    purchases: Purchases

    def __init__(self, *, shard_count: int | None = None, always_sync: bool = False) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True),  # nothing privileged: buttons and commands need no more
            allowed_mentions=discord.AllowedMentions.none(),
            shard_count=shard_count,
        )
        self.tree = Tree(self)
        self._always_sync = always_sync
        self._presses: dict[Action, Handler] = {}
        self._forms: dict[Action, Handler] = {}
        self._choices: dict[Action, ChoiceHandler] = {}

    def on_press(self, action: Action) -> Callable[[Handler], Handler]:
        """Register the handler of a button."""

        def register(handler: Handler) -> Handler:
            self._presses[action] = handler
            return handler

        return register

    def on_form(self, action: Action) -> Callable[[Handler], Handler]:
        """Register the handler of a submitted form."""

        def register(handler: Handler) -> Handler:
            self._forms[action] = handler
            return handler

        return register

    def on_choice(self, action: Action) -> Callable[[ChoiceHandler], ChoiceHandler]:
        """Register the handler of a select: it gets the number of its id and what was chosen."""

        def register(handler: ChoiceHandler) -> ChoiceHandler:
            self._choices[action] = handler
            return handler

        return register

    async def setup_hook(self) -> None:
        self.add_dynamic_items(Button, Select)
        if self.studio.settings.sync_commands:
            await self.sync()

    async def sync(self) -> bool:
        """Publish the slash commands if they changed since last time (Discord allows 200 creations a day)."""
        payload = json.dumps([command.to_dict(self.tree) for command in self.tree.get_commands()], sort_keys=True)
        digest, key = hashlib.sha256(payload.encode()).hexdigest(), f"commands:{self.application_id}"
        if not self._always_sync and await self.studio.store.recall(key) == digest:
            return False
        await self.tree.sync()
        await self.studio.store.remember(key, digest)
        return True

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """The bot was removed; the server's data waits a while for its return."""
        await self.studio.upkeep.guild_left(guild.id)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        await self.studio.upkeep.guild_joined(guild.id)

    async def on_entitlement_create(self, entitlement: discord.Entitlement) -> None:
        """Something was bought on Discord."""
        await self.purchases.created(entitlement)

    async def on_entitlement_update(self, entitlement: discord.Entitlement) -> None:
        await self.purchases.created(entitlement)

    async def on_entitlement_delete(self, entitlement: discord.Entitlement) -> None:
        await self.purchases.deleted(entitlement)

    async def check_person(self, interaction: discord.Interaction[Any]) -> None:
        """What comes before every handler of commands, presses and forms. Raises: Banned."""
        if _about_ones_data(interaction):  # a ban takes nobody's right to what is kept about them
            return
        await self.studio.moderation.check_person(interaction.user.id, interaction.guild_id or 0)

    async def count_refusal(self, guild_id: int, code: str) -> None:
        """Note for the statistics that something was refused."""
        studio = self.studio
        try:
            await studio.store.write(statistics.count_refusal, guild_id, code, studio.clock.now_ms())
        except sqlite3.Error:  # a full disk, say: a lost count is no reason to trouble anybody
            log.warning("a refusal was not counted", exc_info=True)

    async def pressed(self, interaction: discord.Interaction[Any], press: ButtonId) -> None:
        """Carry out a button's press."""
        await self._carry_out(interaction, self._presses.get(press.action), press.number)

    async def chosen(self, interaction: discord.Interaction[Any], choice: SelectId, values: tuple[str, ...]) -> None:
        """Carry out what was chosen in a select."""
        handler = self._choices.get(choice.action) if choice.action else None
        await self._carry_out(interaction, handler, choice.number, values)

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Carry out submitted forms; all else is dispatched by discord.py."""
        if interaction.type is not discord.InteractionType.modal_submit:
            return
        custom_id = str(cast(dict[str, Any], interaction.data or {}).get("custom_id", ""))
        if (press := ButtonId.parse(custom_id)) is not None:
            await self._carry_out(interaction, self._forms.get(press.action), press.number)

    async def _carry_out(
        self, interaction: discord.Interaction[Any], handler: Callable[..., Awaitable[None]] | None, *what: Any
    ) -> None:
        try:
            await self.check_person(interaction)
            if handler is None:
                raise UserError("This button is from another version of Easel. Use /show to get fresh ones.")
            await handler(interaction, *what)
        except Exception as error:  # the outer edge: discord.py would only log it, and the person would see nothing
            await error_messages.answer(interaction, error)


def _about_ones_data(interaction: discord.Interaction[Any]) -> bool:
    """Whether this is /privacy, or a button under its question."""
    data = cast(dict[str, Any], interaction.data or {})
    press = ButtonId.parse(str(data.get("custom_id", "")))
    return data.get("name") == "privacy" or (press is not None and press.action is Action.LEAVE)
