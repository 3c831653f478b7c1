"""/admin stats, defaults, models and announce: what happened here, and what /imagine does by itself."""

from __future__ import annotations

import asyncio
import io
from typing import Any, Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.errors import BadInput, NotYours
from bot.features.audit.service import Audit
from bot.features.moderation.service import Moderation
from bot.features.settings import store as preference_store
from bot.features.settings.default_views import described
from bot.features.settings.service import PreferenceService
from bot.features.settings.store import ModelNote
from bot.features.settings.styles import read_names
from bot.features.stats import charts
from bot.features.stats import service as stats
from bot.features.stats import store as statistics
from bot.features.stats.broadcast import announce_button, ask_to_announce
from bot.features.stats.store import Figures
from bot.features.stats.views import stats_view
from bot.kit.checks import check_admin, guarded
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.custom_ids import Action
from bot.orders import drafts
from bot.orders.actor import Actor
from bot.prompt.text import shown
from bot.store.clock import Clock
from bot.store.key_value_store import KeyValues
from bot.store.store import Store
from engine.backend import Backend
from engine.tasks.txt2img import MAX_STEPS

NOTHING = "none"  # what one says to take a default back
MAX_DAYS = 90
ANNOUNCEMENT_CHARS = 2000


class Services(Protocol):
    """What this module works with."""

    audit: Audit
    backend: Backend
    clock: Clock
    moderation: Moderation
    preferences: PreferenceService
    store: Store
    key_values: KeyValues


def install(client: Client, group: app_commands.Group, app: Services) -> None:
    """Add the subcommands to /admin, and their buttons to the client."""
    _stats(app, group)
    _defaults(app, group)
    _models(app, group)

    @group.command()
    @app_commands.describe(text="What every server is to read; it is shown to you first")
    @guarded
    async def announce(interaction: Interaction, text: Range[str, 1, ANNOUNCEMENT_CHARS]) -> None:
        """Tell every server something (for those who run this bot)."""
        check_operator(interaction)
        await ask_to_announce(app, interaction, text)

    @client.on_button(Action.ANNOUNCE)
    async def announced(interaction: Interaction, number: int) -> None:
        check_operator(interaction)
        await announce_button(app, interaction, number)


def check_operator(interaction: Interaction) -> Actor:
    """Who asks, if they run this bot. Raises: NotYours."""
    asker = check_admin(interaction)
    if not asker.is_operator:
        raise NotYours("Only those who run this bot can do this; they are listed in its setting EASEL_OPERATORS.")
    return asker


# ------------------------------------------------------------------ stats
def _stats(app: Services, group: app_commands.Group) -> None:
    @group.command(name="stats")
    @app_commands.describe(
        days="How many days, today included", everywhere="Of every server; for those who run this bot"
    )
    @guarded
    async def stats_(interaction: Interaction, days: Range[int, 1, MAX_DAYS] = 30, everywhere: bool = False) -> None:
        """Pictures, members, waiting and painting times, credits and refusals: a chart and a table."""
        if everywhere:
            check_operator(interaction)
        await interaction.response.defer(thinking=True, ephemeral=True)
        await show_stats(app, interaction, days, everywhere=everywhere)


async def show_stats(app: Services, interaction: Interaction, days: int, *, everywhere: bool = False) -> None:
    """Answer with the chart and the table."""
    found = await figures_of(app, interaction, days, None if everywhere else interaction.guild_id)
    picture = await asyncio.to_thread(charts.stats, found)
    files = [
        discord.File(io.BytesIO(picture), filename="stats.png"),
        discord.File(io.BytesIO(stats.to_csv(found)), filename="stats.csv"),
    ]
    await interaction.edit_original_response(view=stats_view(found, everywhere=everywhere), attachments=files)


async def figures_of(app: Services, interaction: Interaction, days: int, guild_id: int | None) -> Figures:
    return await app.store.read(statistics.figures, guild_id, days, app.clock.now_ms())


# ------------------------------------------------------------------ defaults
def _defaults(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(
        model="The model; none = the bot's own",
        size="3:2 or 768x512; none = the model's own",
        steps="Denoising steps of that model; 0 = its own",
        guidance="Guidance of that model; -1 = its own",
        scheduler="The noise scheduler; none = the model's own",
        negative="What every picture leaves out; none = nothing",
        styles="Styles that hold unless others are named, such as ink,gold; none = none",
    )
    @guarded
    async def defaults(
        interaction: discord.Interaction[Client],
        model: str | None = None,
        size: Range[str, 1, 20] | None = None,
        steps: Range[int, 0, MAX_STEPS] | None = None,
        guidance: Range[float, -1, 30] | None = None,
        scheduler: str | None = None,
        negative: Range[str, 1, 1000] | None = None,
        styles: str | None = None,
    ) -> None:
        """What /imagine does here with what was not said; without options, what is set."""
        words = {"model": model, "shape": size, "scheduler": scheduler}
        changes: dict[str, Any] = {name: _unless_none(text) for name, text in words.items() if text is not None}
        changes |= {} if steps is None else {"steps": steps or None}
        changes |= {} if guidance is None else {"guidance": None if guidance < 0 else guidance}
        changes |= {} if negative is None else {"negative": _unless_none(negative) or ""}
        changes |= {} if styles is None else {"styles": read_names(styles)}
        text = await change_defaults(app, interaction, changes)
        await interaction.response.send_message(view=notice(text), ephemeral=True)

    @defaults.autocomplete("model")
    async def model_names(interaction: Interaction, typed: str) -> list[Choice[str]]:
        keys = [info.key for info in app.backend.models()]
        return [Choice(name=key, value=key) for key in [*keys, NOTHING] if typed.casefold() in key.casefold()][:25]


async def change_defaults(app: Services, interaction: Interaction, changes: dict[str, Any]) -> str:
    """Keep what was changed, noted in the log; what holds now, in words. Raises: BadInput."""
    by = check_admin(interaction)
    if not changes:
        return described(await app.preferences.defaults(by.guild_id))
    now = await app.preferences.set_defaults(by.guild_id, **changes)
    details = {name: list(value) if isinstance(value, tuple) else value for name, value in changes.items()}
    await app.audit.record(by.guild_id, by.user_id, "defaults.set", "", details)
    return f"Changed: {', '.join(sorted(changes)).replace('shape', 'size')}.\n{described(now)}"


def _unless_none(text: str) -> str | None:
    return None if text.strip().casefold() == NOTHING else text.strip()


# ------------------------------------------------------------------ models
def _models(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(
        model="Which one",
        licence="Its licence, as its card says",
        about="What it is good at, in a sentence or two",
    )
    @guarded
    async def models(
        interaction: discord.Interaction[Client],
        model: str,
        licence: Range[str, 0, 200] | None = None,
        about: Range[str, 0, 500] | None = None,
    ) -> None:
        """Say what /models shows of a model (for those who run this bot)."""
        by = check_operator(interaction)
        key = drafts.find_model(app.backend.models(), model).key
        if licence is None and about is None:
            raise BadInput("Say the licence, or what the model is about. `/models` shows what is there.")
        old = (await app.store.read(preference_store.model_notes)).get(key, ModelNote())
        note = ModelNote(
            licence=old.licence if licence is None else licence, about=old.about if about is None else about
        )
        await app.store.write(preference_store.note_model, key, note)
        details = {"licence": note.licence, "about": note.about}
        await app.audit.record(0, by.user_id, "model.describe", f"model:{key}", details)
        text = f"**/models** now says of **{shown(key)}**: {shown(note.licence) or 'no licence'} · {shown(note.about)}"
        await interaction.response.send_message(view=notice(text), ephemeral=True)

    @models.autocomplete("model")
    async def names(interaction: Interaction, typed: str) -> list[Choice[str]]:
        keys = [info.key for info in app.backend.models()]
        return [Choice(name=key, value=key) for key in keys if typed.casefold() in key.casefold()][:25]
