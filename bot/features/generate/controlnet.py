"""/control: words painted along a picture, as far as a ControlNet is told to follow it."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.errors import BadInput
from bot.features.generate import edits, image_lookup
from bot.features.generate.discord_files import DiscordFile
from bot.features.generate.edit_commands import PICTURE, PRIVATE, SOURCE
from bot.features.generate.image_lookup import CHOICES
from bot.features.generate.submission import Submission
from bot.features.settings.service import PreferenceService
from bot.jobs.files import ImageFiles
from bot.jobs.service import Jobs
from bot.kit.client import Client, Interaction
from bot.kit.error_messages import shows_errors
from bot.orders import drafts
from engine.api.model_info import ModelInfo
from engine.backend import Backend
from engine.tasks.control import Control
from engine.tasks.img2img import Img2Img
from engine.tasks.pictures import MAX_CONTROL_SCALE, Guide
from engine.tasks.txt2img import Txt2Img

OPTIONS = {
    "image": PICTURE,
    "source": SOURCE,
    "prompt": "What the new pictures show; flags such as --seed 7 work too",
    "kind": "Which ControlNet, that is: what of the picture is followed",
    "strength": "How closely, 0 to 2 (normally 1)",
    "prepared": "The picture is an outline or depth map already: take it as it is",
    "repaint": "Start from the picture, too, and repaint this much of it, above 0 up to 1",
    "image2": "A second picture to follow",
    "kind2": "Which ControlNet follows the second picture",
    "private": PRIVATE,
}


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    files: ImageFiles
    preferences: PreferenceService
    submission: Submission
    jobs: Jobs


def install(client: Client, app: Services) -> None:
    """Add the command to the client."""

    @client.tree.command()
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.describe(**OPTIONS)
    @shows_errors
    async def control(
        interaction: discord.Interaction[Client],
        image: discord.Attachment | None = None,
        source: str | None = None,
        prompt: str | None = None,
        kind: str | None = None,
        strength: Range[float, 0.0, MAX_CONTROL_SCALE] = 1.0,
        prepared: bool = False,
        repaint: Range[float, 0.0, 1.0] | None = None,
        image2: discord.Attachment | None = None,
        kind2: str | None = None,
        private: bool | None = None,
    ) -> None:
        """Paint words along a picture's outlines, depths or poses."""
        said = edits.read(prompt)
        names = [(kind or "").strip(), *([(kind2 or kind or "").strip()] if image2 or kind2 else [])]
        for name in names:
            drafts.following(name, app.backend.models())  # before a picture is fetched
        picture = await edits.given(app, interaction, image, source, private=private)
        also = picture.picture
        if image2:
            kept = await app.submission.stored_file(interaction, DiscordFile.attached(image2))
            also, said = kept.picture, edits.with_notes(said, *kept.notes)
        guides = [
            Guide(image=each, controlnet=name) for each, name in zip((picture.picture, also), names, strict=False)
        ]
        guides[0] = replace(guides[0], conditioning_scale=round(strength, 4), prepared=prepared)
        what: Txt2Img = Control.along(*guides)
        if repaint:
            what = Img2Img(prompt="", init_image=picture.picture, controls=tuple(guides))
            said = replace(said, strength=repaint)
        await edits.control(app, interaction, picture, what, said)

    control.autocomplete("source")(image_lookup.own_pictures(app))

    @control.autocomplete("kind")
    @control.autocomplete("kind2")
    async def kinds(interaction: Interaction, typed: str) -> list[Choice[str]]:
        return _choices(_meant(app, interaction), typed.strip().casefold())


def _meant(app: Services, interaction: Interaction) -> list[ModelInfo]:
    """The model that the prompt names so far, else all."""
    models = app.backend.models()
    try:
        name = edits.read(getattr(interaction.namespace, "prompt", None)).model
        return [drafts.find_model(models, name)] if name else [*models]
    except BadInput:  # it is still being typed
        return [*models]


def _choices(models: list[ModelInfo], typed: str) -> list[Choice[str]]:
    """Each ControlNet once, with the models that it fits."""
    fits: dict[str, list[str]] = {}
    for info in models:
        for name in info.controlnets:
            fits.setdefault(name, []).append(info.key)
    found = [(name, keys) for name, keys in fits.items() if typed in name.casefold()]
    return [Choice(name=f"{name} ({', '.join(keys)})"[:100], value=name) for name, keys in found[:CHOICES]]
