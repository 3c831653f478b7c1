"""/rewrite: a small language model writes a longer prompt, one in English, or an instruction, to be changed first."""

from __future__ import annotations

from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.errors import BadInput, Refused
from bot.features.describe import saved_drafts, views
from bot.features.describe.saved_drafts import Offer
from bot.kit.client import Client, Interaction
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import acknowledge, actor_of
from bot.prompt.parser import MAX_PROMPT_CHARS, Draft
from bot.prompt.text import visible
from bot.store.key_value_store import KeyValues
from engine.api.errors import NO_HELPER
from engine.api.rewriting import Aim
from engine.backend import Backend

PAUSE_MS = 5000  # between two of a person: it's free, and takes the device for a second or two
AIMS: dict[Aim, str] = {
    "expand": "A longer prompt",
    "translate": "In English",
    "instruct": "An instruction for /edit, out of a conversation",
}


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    key_values: KeyValues


def install(client: Client, app: Services) -> None:
    """Add the command to the client; its button is one of /describe."""

    @client.tree.command()
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.describe(text="Your words", into="What becomes of them: expand, translate or instruct")
    @app_commands.choices(into=[Choice(name=name, value=aim) for aim, name in AIMS.items()])
    @shows_errors
    async def rewrite(
        interaction: discord.Interaction[Client], text: Range[str, 1, MAX_PROMPT_CHARS], into: str = "expand"
    ) -> None:
        """Have a prompt written out of your words, to read and change before it's painted."""
        await _rewrite(app, interaction, text, next(aim for aim in AIMS if aim == into))


async def _rewrite(app: Services, interaction: Interaction, text: str, aim: Aim) -> None:
    if "rewrite" not in app.backend.abilities():
        raise Refused(" ".join(NO_HELPER))
    if not interaction.client.clicks.is_first(f"rewrite:{interaction.user.id}", PAUSE_MS):
        raise BadInput("One prompt at a time. Try again in a few seconds.")
    await acknowledge(interaction, private=True)
    wrote = visible(await app.backend.rewrite(visible(text), aim))[:MAX_PROMPT_CHARS]
    if not wrote:
        raise BadInput("It wrote nothing. Say it in other words.")
    offer = Offer.to(actor_of(interaction), [Draft(prompt=wrote)])
    await saved_drafts.keep(app.key_values, interaction.id, offer)
    await interaction.edit_original_response(view=views.rewritten(interaction.id, wrote, paints=aim != "instruct"))
