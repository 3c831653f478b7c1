"""/control: words painted along a picture, as far as a ControlNet is told to follow it."""

from __future__ import annotations

from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.errors import BadInput
from bot.features.generate import edits, image_lookup
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
from engine.tasks.control import MAX_CONTROL_SCALE, Control


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
    @app_commands.describe(
        image=PICTURE,
        source=SOURCE,
        prompt="What the new pictures show; flags such as --seed 7 work too",
        kind="Which ControlNet, that is: what of the picture is followed",
        strength="How closely, 0 to 2 (normally 1)",
        prepared="The picture is an outline or depth map already: take it as it is",
        private=PRIVATE,
    )
    @shows_errors
    async def control(
        interaction: discord.Interaction[Client],
        image: discord.Attachment | None = None,
        source: str | None = None,
        prompt: str | None = None,
        kind: str | None = None,
        strength: Range[float, 0.0, MAX_CONTROL_SCALE] = 1.0,
        prepared: bool = False,
        private: bool | None = None,
    ) -> None:
        """Paint words along a picture's outlines, depths or poses."""
        said = edits.read(prompt)
        name = (kind or "").strip()
        drafts.following(name, app.backend.models())  # before the picture is fetched
        picture = await edits.given(app, interaction, image, source, private=private)
        what = Control(
            prompt="",
            control_image=picture.picture,
            controlnet=name,
            controlnet_conditioning_scale=round(strength, 4),
            prepared=prepared,
        )
        await edits.control(app, interaction, picture, what, said)

    control.autocomplete("source")(image_lookup.own_pictures(app))

    @control.autocomplete("kind")
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
