"""The Discord client: routes commands, buttons, selects and modals, and reports every error in one place.

It knows no feature. A feature registers its commands and handlers when it installs itself; what has to happen before
every handler, or when Discord tells of something, is registered the same way.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Literal, TypeVar, cast

import discord
from discord import app_commands

from bot.errors import UserError
from bot.jobs.records import Job, StoredImage
from bot.kit import error_messages, interactions
from bot.kit.button import Button
from bot.kit.command_sync import CommandSync, CommandTranslator
from bot.kit.custom_ids import Action, ButtonId, SelectId
from bot.kit.interactions import DoubleClicks
from bot.kit.modals import Forms
from bot.kit.select import Select
from bot.kit.shards import PatientClient
from bot.languages.speech import speak

log = logging.getLogger(__name__)
MAX_MENUS = 15
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # Easel doesn't talk: nobody need install either
Interaction = discord.Interaction["Client"]
Handler = Callable[[Interaction, int], Awaitable[None]]
ImageHandler = Callable[[Interaction, Job, StoredImage], Awaitable[None]]
SelectHandler = Callable[[Interaction, int, tuple[str, ...]], Awaitable[None]]
Check = Callable[[discord.Interaction[Any]], Awaitable[None]]
Loader = Callable[[Interaction, int], Awaitable[tuple[Any, ...]]]
Event = Literal[
    "message",
    "guild_join",
    "guild_available",
    "guild_remove",
    "entitlement_create",
    "entitlement_update",
    "entitlement_delete",
]
AnyHandler = TypeVar("AnyHandler", bound=Callable[..., Awaitable[None]])


class Tree(app_commands.CommandTree["Client"]):
    """The slash commands and context menus; whatever they raise is shown to the member."""

    def add_command(self, command: Any, /, **how: Any) -> None:
        """Discord allows 15 menus of a kind since 2025; discord.py 2.7 still stops at 5. Raises: as its own."""
        try:
            super().add_command(command, **how)
        except app_commands.CommandLimitReached:
            if not isinstance(command, app_commands.ContextMenu) or len(self._context_menus) >= MAX_MENUS:
                raise
            self._context_menus[(command.name, None, command.type.value)] = command

    async def interaction_check(self, interaction: discord.Interaction[Client], /) -> bool:
        """Run the checks before every command, menu and autocomplete."""
        try:
            await interaction.client.run_checks(interaction)
        except UserError as refusal:
            if interaction.type is discord.InteractionType.autocomplete:
                await interaction.response.autocomplete([])
            else:
                await error_messages.answer(interaction, refusal)
            return False
        return True

    async def on_error(self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError, /) -> None:
        await error_messages.answer(interaction, error)


class Client(PatientClient):
    """Easel on Discord.

    Attributes:
        forms: opens forms, and keeps those that were refused; set likewise.
        find_job, find_image: look up a job, or an image with its job; set by `bot.app` before the client connects.
        command_sync: publishes the slash commands; set likewise, None = never by itself.
        count_refusals: told of every refusal's server and code; must not raise.
        is_operator: whether a member (their Discord id) runs this bot.
        upload_limits: bytes by server id, as interactions tell them.
        locales: of people by their Discord ids, likewise.
    """

    forms: Forms
    find_job: Callable[[int], Awaitable[Job]]
    find_image: Callable[[int], Awaitable[tuple[Job, StoredImage]]]
    command_sync: CommandSync | None = None
    count_refusals: Callable[[int, str], Awaitable[None]] | None = None

    def __init__(
        self, clicks: DoubleClicks, is_operator: Callable[[int], bool], *, shard_count: int | None = None
    ) -> None:
        super().__init__(
            # nothing privileged: in servers words come only where it's mentioned
            intents=discord.Intents(guilds=True, guild_messages=True, dm_messages=True),
            allowed_mentions=discord.AllowedMentions.none(),
            shard_count=shard_count,
        )
        self.tree = Tree(self)
        self.clicks, self.is_operator = clicks, is_operator
        self.upload_limits: dict[int, int] = {}
        self.locales: dict[int, discord.Locale] = {}
        self._buttons: dict[Action, Handler] = {}
        self._modals: dict[Action, Handler] = {}
        self._selects: dict[Action, SelectHandler] = {}
        self._checks: list[Check] = []
        self._event_listeners: dict[Event, list[Callable[[Any], Awaitable[None]]]] = {}

    # ------------------------------------------------------------ registering
    def on_button(
        self, action: Action, *, job: bool = False, image: bool = False, shown: bool = True, once: bool = False
    ) -> Callable[[AnyHandler], AnyHandler]:
        """Register the handler of a button, which starts only after what the button declares was checked.

        Args:
            job: the button's number is a job that this member may see here; the handler gets `(interaction, job)`
                instead of `(interaction, number)`.
            image: likewise an image; the handler gets `(interaction, job, image)`.
            shown: False where neither its words nor its pictures will be seen: then it may be one for other channels.
            once: the second press of a double click is refused.
        """
        return self._register(self._buttons, action, _loader(job, image, shown), once)

    def on_modal(
        self, action: Action, *, job: bool = False, image: bool = False, once: bool = False
    ) -> Callable[[AnyHandler], AnyHandler]:
        """Register the handler of a submitted modal; the arguments are those of `on_button`."""
        return self._register(self._modals, action, _loader(job, image), once)

    def on_select(self, action: Action) -> Callable[[SelectHandler], SelectHandler]:
        """Register the handler of a select: it gets the number of its id and what was chosen."""

        def register(handler: SelectHandler) -> SelectHandler:
            self._selects[action] = handler
            return handler

        return register

    def add_check(self, check: Check) -> None:
        """Run a check before every command, menu, button, select and modal; it raises a `UserError` to refuse."""
        self._checks.append(check)

    def listen(self, event: Event, listener: Callable[[Any], Awaitable[None]]) -> None:
        """Call `listener` with the guild or entitlement whenever Discord tells of the event."""
        self._event_listeners.setdefault(event, []).append(listener)

    def _register(
        self, table: dict[Action, Handler], action: Action, load: Loader, once: bool
    ) -> Callable[[AnyHandler], AnyHandler]:
        def register(handler: AnyHandler) -> AnyHandler:
            @wraps(handler)
            async def checked(interaction: Interaction, number: int) -> None:
                found = await load(interaction, number)
                if once:
                    interactions.reject_double_click(interaction, action, number)
                await handler(interaction, *found)

            table[action] = checked
            return handler

        return register

    # ------------------------------------------------------------ events
    async def setup_hook(self) -> None:
        self.add_dynamic_items(Button, Select)
        await self.tree.set_translator(CommandTranslator())
        if self.command_sync is not None:
            await self.command_sync.sync(self.tree, self.application_id or 0)

    async def on_message(self, message: discord.Message) -> None:
        await self._tell("message", message)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        await self._tell("guild_remove", guild)

    async def on_guild_available(self, guild: discord.Guild) -> None:
        await self._tell("guild_available", guild)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        await self._tell("guild_join", guild)

    async def on_entitlement_create(self, entitlement: discord.Entitlement) -> None:
        await self._tell("entitlement_create", entitlement)

    async def on_entitlement_update(self, entitlement: discord.Entitlement) -> None:
        await self._tell("entitlement_update", entitlement)

    async def on_entitlement_delete(self, entitlement: discord.Entitlement) -> None:
        await self._tell("entitlement_delete", entitlement)

    async def _tell(self, event: Event, thing: object) -> None:
        for listener in self._event_listeners.get(event, ()):
            await listener(thing)

    async def run_checks(self, interaction: discord.Interaction[Any]) -> None:
        """What comes before every handler; what is said from now on is for this person. Raises: UserError."""
        speak(interaction.locale)
        if isinstance(interaction, discord.Interaction):  # a message only tells what its server speaks
            self.locales[interaction.user.id] = interaction.locale
        for check in self._checks:
            await check(interaction)

    async def count_refusal(self, guild_id: int, code: str) -> None:
        """Note for the statistics that something was refused."""
        if self.count_refusals is not None:
            await self.count_refusals(guild_id, code)

    # ------------------------------------------------------------ routing
    async def pressed(self, interaction: discord.Interaction[Any], button: ButtonId) -> None:
        """Carry out a press of a button."""
        await self._carry_out(interaction, self._buttons.get(button.action), button.number)

    async def chosen(self, interaction: discord.Interaction[Any], choice: SelectId, values: tuple[str, ...]) -> None:
        """Carry out what was chosen in a select."""
        handler = self._selects.get(choice.action) if choice.action else None
        await self._carry_out(interaction, handler, choice.number, values)

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Carry out submitted modals; all else is dispatched by discord.py."""
        if interaction.type is not discord.InteractionType.modal_submit:
            return
        custom_id = str(cast(dict[str, Any], interaction.data or {}).get("custom_id", ""))
        if (button := ButtonId.parse(custom_id)) is not None:
            await self._carry_out(interaction, self._modals.get(button.action), button.number)

    async def _carry_out(
        self, interaction: discord.Interaction[Any], handler: Callable[..., Awaitable[None]] | None, *what: Any
    ) -> None:
        try:
            await self.run_checks(interaction)
            if handler is None:
                raise UserError("This button is from another version of Easel. Use /show to get fresh ones.")
            await handler(interaction, *what)
        except Exception as error:  # the outer edge: discord.py would only log it, and the member would see nothing
            again = await self._form_again(interaction, error)
            await error_messages.answer(interaction, error, *again)

    async def _form_again(self, interaction: Interaction, error: Exception) -> list[Button]:
        """A refused form can be opened again as it was filled in."""
        if interaction.type is not discord.InteractionType.modal_submit or not isinstance(error, UserError):
            return []
        try:
            button = await self.forms.keep(interaction)
        except sqlite3.Error:  # the refusal itself matters more
            log.warning("a refused form was not kept", exc_info=True)
            return []
        return [button] if button else []


def _loader(job: bool, image: bool, shown: bool = True) -> Loader:
    """Return what turns a button's number into its handler's arguments."""

    async def load(interaction: Interaction, number: int) -> tuple[Any, ...]:
        if image:
            return await interactions.load_image(interaction, number, shown=shown)
        return (await interactions.load_job(interaction, number, shown=shown),) if job else (number,)

    return load
