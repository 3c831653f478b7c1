"""/edit, and the menu "Edit" of any message with a picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Range

from bot.features.edit import changes
from bot.features.edit.changes import change
from bot.features.generate import edits, image_lookup
from bot.features.generate.discord_files import DiscordFile
from bot.features.generate.edit_commands import PICTURE, PRIVATE, SOURCE, keep, kept, press_of
from bot.features.generate.edits import Source
from bot.features.generate.image_lookup import FoundImage
from bot.features.generate.submission import Submission
from bot.features.settings.service import PreferenceService
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, StoredImage
from bot.jobs.service import Jobs
from bot.kit import modals
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.kit.error_messages import shows_errors
from bot.store.key_value_store import KeyValues
from engine.backend import Backend


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    files: ImageFiles
    preferences: PreferenceService
    submission: Submission
    key_values: KeyValues
    jobs: Jobs


def install(client: Client, app: Services) -> None:
    """Add the command, the menu, its forms and the buttons of a refusal to the client."""
    changes.install(client, app)
    _install_command(app, client)
    _install_menu(app, client)


def _install_command(app: Services, client: Client) -> None:
    @client.tree.command()
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.describe(
        instruction="What should change, such as: make the boat blue; flags such as --seed 7 work too",
        image=PICTURE,
        source=SOURCE,
        reference1="A picture that the words may refer to, such as: put this hat on the cat",
        reference2="Another one",
        reference3="Another one",
        reference4="Another one",
        references="Or name them: messages' links or jobs' numbers such as 12.3, with spaces between",
        strength="How much may change, up to 1, where the model can be told",
        private=PRIVATE,
    )
    @shows_errors
    async def edit(
        interaction: discord.Interaction[Client],
        instruction: str,
        image: discord.Attachment | None = None,
        source: str | None = None,
        reference1: discord.Attachment | None = None,
        reference2: discord.Attachment | None = None,
        reference3: discord.Attachment | None = None,
        reference4: discord.Attachment | None = None,
        references: str | None = None,
        strength: Range[float, 0.01, 1.0] | None = None,
        private: bool | None = None,
    ) -> None:
        """Change a picture by saying what."""
        said = edits.read(instruction)
        said = said if strength is None else replace(said, strength=strength)
        files = [file for file in (reference1, reference2, reference3, reference4) if file is not None]
        others = [FoundImage(file=DiscordFile.attached(file)) for file in files]
        others += [await image_lookup.in_text(app, interaction, text) for text in (references or "").split()]
        picture = await edits.given(app, interaction, image, source, private=private)
        await change(app, interaction, picture, said, others)

    edit.autocomplete("source")(image_lookup.own_pictures(app))


def _install_menu(app: Services, client: Client) -> None:
    @client.tree.context_menu(name="Edit")
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @shows_errors
    async def edit(interaction: discord.Interaction[Client], message: discord.Message) -> None:
        found = await image_lookup.in_message(app, interaction, message)
        press = press_of(interaction, found, Action.EDIT, Action.MENU_EDIT_FILE)
        await interaction.client.forms.send(interaction, modals.edit(press))
        await keep(app, interaction, found)

    @client.on_modal(Action.EDIT, image=True, once=True)
    async def edited(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await _change(app, interaction, await edits.of_image(app, interaction, job, image))

    @client.on_modal(Action.MENU_EDIT_FILE, once=True)
    async def edited_file(interaction: Interaction, number: int) -> None:
        await _change(app, interaction, await kept(app, interaction, number))


async def _change(app: Services, interaction: Interaction, source: Source) -> None:
    said = edits.read(modals.answers(interaction).get("prompt"))
    others = [FoundImage(file=DiscordFile.attached(file)) for file in modals.files(interaction)]
    await change(app, interaction, source, said, others)
