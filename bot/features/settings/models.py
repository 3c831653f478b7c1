"""/models: what each model is, what it can do, and under which licence."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Protocol

import discord
from discord import app_commands

from bot.features.settings.service import PreferenceService
from bot.features.settings.store import ModelNote
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.error_messages import shows_errors
from bot.languages.speech import N_, _, engine_words
from bot.prompt.text import shown
from engine import mini
from engine.api.left_out import LeftOut
from engine.api.model_info import About, ModelInfo
from engine.backend import Backend, WorkerStatus
from engine.tasks import TASKS

MOST_CHARS = 3600  # of one message's 4,000
MOST_PICTURES = 10  # of a gallery
MOST_TOLD = 8  # LoRAs of a model that say something of themselves
KNOWN = {
    mini.MODEL: ModelNote(
        licence=N_("MIT, like Easel"),
        about=N_("A small model that comes with Easel. It makes simple images from a small vocabulary; see /help."),
    ),
    mini.EDITOR: ModelNote(
        licence=N_("MIT, like Easel"),
        about=N_("Changes what mini painted, such as: make the boat blue; remove the moon; make it night."),
    ),
}
NOT_STATED = N_("not stated by the people who run this bot")
NO_WEIGHTS = N_("doesn't support weights such as (word:1.3)")
FACTS = N_(
    "{width}x{height}, {steps} steps, guidance {guidance:g}, {scheduler} · "
    "up to {pixels:,} pixels, sides in steps of {unit}"
)


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
        status = app.backend.status()
        workers = status.workers if interaction.client.is_operator(interaction.user.id) else ()
        described = [
            _described(info, notes.get(info.key, ModelNote()), status.memory.get(info.key, ""), workers)
            for info in app.backend.models()
        ]
        described += [_left_out(each) for each in app.backend.left_out()]
        pictures = _thumbnails(app.backend.models())
        page = notice(_fitting(described))
        if pictures:
            items = [
                discord.MediaGalleryItem(f"attachment://{name}", description=told)
                for name, (told, _) in pictures.items()
            ]
            page.add_item(discord.ui.MediaGallery(*items))
        files = [discord.File(io.BytesIO(data), name) for name, (_, data) in pictures.items()]
        await interaction.response.send_message(view=page, files=files, ephemeral=True)


def _thumbnails(models: Sequence[ModelInfo]) -> dict[str, tuple[str, bytes]]:
    """The pictures that files bring along: by a file's name, what each is of, and its bytes."""
    told = {each.name: each for info in models for each in info.about if each.thumbnail}
    return {
        f"{number}.jpg": (each.name, each.thumbnail) for number, each in enumerate([*told.values()][:MOST_PICTURES])
    }


def _said(about: About) -> str:
    """What a file says of itself, in one line: strangers' words."""
    by = _(" by {author}", author=shown(about.author, 100)) if about.author else ""
    words = " · " + _("write: {words}", words=shown(", ".join(about.trigger_words), 200)) if about.trigger_words else ""
    return f"{shown(about.title or about.name, 100)}{by}{words}"


def _described(info: ModelInfo, note: ModelNote, kept: str, workers: Sequence[WorkerStatus]) -> str:
    """`workers`: those that whoever asks may know of."""
    own = next((each for each in info.about if each.name == info.key), None)
    loras = [f"{shown(each.name, 60)}: {_said(each)}" for each in info.about if each is not own][:MOST_TOLD]
    licence = note.licence or (own.licence if own else "")
    tasks = ", ".join(engine_words(each.label) for each in TASKS.values() if each.suits(info))
    lines = [
        f"**{info.key}** · {info.family}",
        shown(_(note.about), 500) if note.about else _said(own) if own else "",
        _("Licence: {licence}", licence=shown(licence, 200) if licence else _(NOT_STATED)),
        "-# " + _(FACTS, **_facts(info)),
        "-# " + _("Can do: {tasks}", tasks=tasks) + ("" if info.weighted_prompts else " · " + _(NO_WEIGHTS)),
        "-# " + _("In memory: {kept}", kept=kept) if kept else "",
        _named(_("On the workers"), tuple(_holder(each, info.key) for each in workers if info.key in each.models)),
        _named(_("LoRAs, used as <lora:name:0.8> in the prompt"), info.loras),
        *(f"-# {each}" for each in loras),
        _named(
            _("Of some LoRAs only a part fits"), tuple(f"{name} ({percent} %)" for name, percent in info.lora_shares)
        ),
        _named(_("Words it has learned"), info.embeddings),
        _named(_("ControlNets, for the option kind of **/control**"), info.controlnets),
    ]
    return "\n".join(line for line in lines if line)


def _holder(worker: WorkerStatus, model: str) -> str:
    if not worker.up:
        return _("{worker} (away)", worker=worker.name)
    return _("{worker} (in memory)", worker=worker.name) if model in worker.loaded else worker.name


def _facts(info: ModelInfo) -> dict[str, object]:
    """The values of `FACTS`."""
    return {
        "width": info.width,
        "height": info.height,
        "steps": info.num_inference_steps,
        "guidance": info.guidance_scale,
        "scheduler": info.scheduler,
        "pixels": info.max_pixels,
        "unit": info.multiple_px,
    }


def _left_out(each: LeftOut) -> str:
    return f"**{shown(each.name, 100)}** · {each.kind}\n-# " + _(
        "Can't be used here: {reason}.", reason=shown(each.reason, 300)
    )


def _named(label: str, names: tuple[str, ...]) -> str:
    return f"-# {label}: {shown(', '.join(names), 500)}" if names else ""


def _fitting(described: list[str]) -> str:
    text = _(
        "## Models\nChoose one with the option `model` of **/imagine** or `--model`, or for good in **/settings**."
    )
    for number, each in enumerate(described):
        if len(text) + len(each) > MOST_CHARS:
            return f"{text}\n\n" + _("… and {n} more", n=len(described) - number) + "."
        text += f"\n\n{each}"
    return text
