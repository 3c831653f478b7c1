"""/models: what each model is, what it can do, and under which licence."""

from __future__ import annotations

from typing import Protocol

from discord import app_commands

from bot.delivery import layouts
from bot.features.settings.service import PreferenceService
from bot.features.settings.store import ModelNote
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.error_messages import shows_errors
from bot.prompt.text import shown
from engine.api.left_out import LeftOut
from engine.api.model_info import ModelInfo
from engine.backend import Backend
from engine.tasks import TASKS

MOST_CHARS = 3600  # of one message's 4,000
KNOWN = {
    layouts.MINI: ModelNote(
        licence="MIT, like Easel",
        about="A small model that comes with Easel. It makes simple images from a small vocabulary; see /help.",
    )
}


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    preferences: PreferenceService


def install(client: Client, app: Services) -> None:
    """Add the command to the client."""

    @client.tree.command()
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @shows_errors
    async def models(interaction: Interaction) -> None:
        """See the models: what each can do, its limits and its licence."""
        notes = KNOWN | await app.preferences.model_notes()
        described = [_described(info, notes.get(info.key, ModelNote())) for info in app.backend.models()]
        described += [_left_out(each) for each in app.backend.left_out()]
        await interaction.response.send_message(view=notice(_fitting(described)), ephemeral=True)


def _described(info: ModelInfo, note: ModelNote) -> str:
    tasks = ", ".join(each.label for each in TASKS.values() if each.suits(info))
    lines = [
        f"**{info.key}** · {info.family}",
        shown(note.about, 500) if note.about else "",
        f"Licence: {shown(note.licence, 200) if note.licence else 'not stated by the people who run this bot'}",
        f"-# {info.width}x{info.height}, {info.num_inference_steps} steps, guidance {info.guidance_scale:g}, "
        f"{info.scheduler} · up to {info.max_pixels:,} pixels, sides in steps of {info.multiple_px}",
        f"-# Can do: {tasks}" + ("" if info.weighted_prompts else " · doesn't support weights such as (word:1.3)"),
        _named("LoRAs, used as <lora:name:0.8> in the prompt", info.loras),
        _named("Words it has learned", info.embeddings),
        _named("ControlNets, for the option kind of **/control**", info.controlnets),
    ]
    return "\n".join(line for line in lines if line)


def _left_out(each: LeftOut) -> str:
    return f"**{shown(each.name, 100)}** · {each.kind}\n-# Can't be used here: {shown(each.reason, 300)}."


def _named(label: str, names: tuple[str, ...]) -> str:
    return f"-# {label}: {shown(', '.join(names), 500)}" if names else ""


def _fitting(described: list[str]) -> str:
    text = "## Models\nChoose one with the option `model` of **/imagine** or `--model`, or for good in **/settings**."
    for number, each in enumerate(described):
        if len(text) + len(each) > MOST_CHARS:
            return f"{text}\n\n… and {len(described) - number} more."
        text += f"\n\n{each}"
    return text
