"""/admin defaults and models: what /imagine uses by default, and what /models says."""

from __future__ import annotations

from typing import Any, Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.errors import BadInput
from bot.features.settings import panel_defaults
from bot.features.settings.default_views import described
from bot.features.settings.service import PreferenceService
from bot.features.settings.styles import read_names
from bot.kit.admin_panel import AdminArea
from bot.kit.checks import check_admin, check_operator, guarded
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.languages.speech import _
from bot.orders import drafts
from bot.orders.actor import Actor
from bot.prompt.text import shown
from engine.backend import Backend
from engine.tasks.txt2img import MAX_STEPS

NOTHING = "none"  # resets a default


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    preferences: PreferenceService


def install(client: Client, area: AdminArea, app: Services) -> None:
    """Add the subcommands of /admin and the page of its panel."""
    _defaults(app, area.group)
    _models(app, area.group)
    panel_defaults.install(client, area.panel, app)


# ------------------------------------------------------------------ defaults
def _defaults(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(
        model="The model; none = the bot's default",
        size="3:2 or 768x512; none = the model's default",
        steps="Denoising steps for that model; 0 = its default",
        guidance="Guidance scale for that model; -1 = its default",
        scheduler="The noise scheduler; none = the model's default",
        negative="Negative prompt for every image; none = no negative prompt",
        styles="Styles used unless a prompt names others, such as ink,gold; none = no styles",
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
        """See or change what /imagine uses here for whatever a prompt doesn't say."""
        words = {"model": model, "shape": size, "scheduler": scheduler}
        changes: dict[str, Any] = {name: _unless_none(text) for name, text in words.items() if text is not None}
        changes |= {} if steps is None else {"steps": steps or None}
        changes |= {} if guidance is None else {"guidance": None if guidance < 0 else guidance}
        changes |= {} if negative is None else {"negative": _unless_none(negative) or ""}
        changes |= {} if styles is None else {"styles": read_names(styles)}
        text = await _change(app.preferences, check_admin(interaction), changes)
        await interaction.response.send_message(view=notice(text), ephemeral=True)

    @defaults.autocomplete("model")
    async def model_names(interaction: Interaction, typed: str) -> list[Choice[str]]:
        keys = drafts.painting(app.backend.models())
        return [Choice(name=key, value=key) for key in [*keys, NOTHING] if typed.casefold() in key.casefold()][:25]


async def _change(preferences: PreferenceService, by: Actor, changes: dict[str, Any]) -> str:
    """Save the changes and describe the defaults. Raises: BadInput."""
    if not changes:
        return described(await preferences.defaults(by.guild_id))
    now = await preferences.set_defaults(by, **changes)
    return f"Changed: {', '.join(sorted(changes)).replace('shape', 'size')}.\n{described(now)}"


def _unless_none(text: str) -> str | None:
    return None if text.strip().casefold() == NOTHING else text.strip()


# ------------------------------------------------------------------ models
def _models(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(
        model="The model to describe",
        licence="Its licence, as on its model card",
        about="What it's good at, in a sentence or two",
    )
    @guarded
    async def models(
        interaction: discord.Interaction[Client],
        model: str,
        licence: Range[str, 0, 200] | None = None,
        about: Range[str, 0, 500] | None = None,
    ) -> None:
        """Change what /models says about a model (only for those who run this bot)."""
        by = check_operator(interaction)
        key = drafts.find_model(app.backend.models(), model).key
        if licence is None and about is None:
            raise BadInput("Give the licence or the about text. `/models` shows what's there now.")
        note = await app.preferences.describe_model(by, key, licence, about)
        licence = shown(note.licence) or _("no licence")
        text = _("**/models** now says about **{model}**: {licence}", model=shown(key), licence=licence)
        text += f" · {shown(note.about)}"
        await interaction.response.send_message(view=notice(text), ephemeral=True)

    @models.autocomplete("model")
    async def names(interaction: Interaction, typed: str) -> list[Choice[str]]:
        keys = [info.key for info in app.backend.models()]
        return [Choice(name=key, value=key) for key in keys if typed.casefold() in key.casefold()][:25]
