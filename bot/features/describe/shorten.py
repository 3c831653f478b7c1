"""/shorten: which words of a prompt matter to the model, and shorter prompts that keep those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Range

from bot.errors import BadInput
from bot.features.describe import saved_drafts, views
from bot.features.describe.saved_drafts import Offer
from bot.kit.client import Client, Interaction
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import acknowledge, actor_of
from bot.orders import drafts
from bot.prompt.parser import parse
from bot.store.key_value_store import KeyValues
from engine.backend import Backend

PAUSE_MS = 3000  # between two of a person
KEPT = (0.8, 0.6, 0.4, 0.25)  # shares of the words


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    key_values: KeyValues


def install(client: Client, app: Services) -> None:
    """Add the command to the client; the buttons are those of /describe."""

    @client.tree.command()
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.describe(prompt="The prompt, with its flags if any")
    @shows_errors
    async def shorten(interaction: discord.Interaction[Client], prompt: Range[str, 1, 4000]) -> None:
        """See which words of a prompt matter, and shorter ones."""
        await _shorten(app, interaction, prompt)


async def _shorten(app: Services, interaction: Interaction, line: str) -> None:
    (draft, *others) = parse(line)
    if others:
        raise BadInput("One prompt at a time: leave out {a, b} and --repeat.")
    if not interaction.client.clicks.is_first(f"shorten:{interaction.user.id}", PAUSE_MS):
        raise BadInput("One prompt at a time. Try again in a few seconds.")
    info = drafts.find_model(app.backend.models(), draft.model)
    await acknowledge(interaction, private=True)
    weighed = await app.backend.weigh(draft.prompt, info.key)
    shorter = shortened(weighed)
    offer = Offer.to(actor_of(interaction), (replace(draft, prompt=prompt) for prompt in shorter))
    await saved_drafts.keep(app.key_values, interaction.id, offer)
    await interaction.edit_original_response(view=views.shortened(interaction.id, weighed, shorter))


def shortened(weighed: Sequence[tuple[str, float]]) -> list[str]:
    """Shorter prompts of the words that matter most, in their order; the longest first."""
    strongest = sorted(range(len(weighed)), key=lambda at: -weighed[at][1])
    counts = dict.fromkeys(max(1, round(len(weighed) * share)) for share in KEPT)
    found = [sorted(strongest[:count]) for count in counts if count < len(weighed)]
    return [" ".join(weighed[at][0] for at in kept).strip(" ,") for kept in found]
