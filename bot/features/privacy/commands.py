"""/privacy: exporting or deleting what is kept about a member."""

from __future__ import annotations

import io
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Protocol

import discord
from discord import app_commands

from bot.errors import NotYours
from bot.features.credits.service import Quotas
from bot.features.gallery.poster import Gallery
from bot.features.privacy.service import Privacy
from bot.features.privacy.zip_archive import Archive
from bot.features.settings.service import PreferenceService
from bot.kit.button import Button
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.error_messages import shows_errors

MAX_PARTS = 10  # files of one export; more would be a flood
SAVE_IT = "Everything this bot keeps about you. Only you see this message; save the file before it goes away."
KEEP = 0  # the number of the button that deletes nothing

DELETE_TEXT = (
    "## Delete everything about you?\n"
    "In **every** server with this bot: your jobs that wait or run are cancelled; your prompts, pictures, uploads and "
    "settings are deleted from its disk, also from its safety copies. Credits you have left are gone.\n"
    "-# What stays: numbers that no longer name you (so that the books balance), and bans. Messages that were posted "
    "stay in Discord: use their **Delete** button first if you want them gone. What others made from your pictures is "
    "theirs.\n"
    "-# You may want your data first: **/privacy export**"
)


class Services(Protocol):
    """What this module works with."""

    gallery: Gallery
    preferences: PreferenceService
    privacy: Privacy
    quotas: Quotas


def install(client: Client, app: Services) -> None:
    """Add the commands and their buttons to the client."""
    client.tree.add_command(_privacy(app))

    @client.on_button(Action.LEAVE)
    async def leave(interaction: Interaction, number: int) -> None:
        await _leave(app, interaction, number)


def _privacy(app: Services) -> app_commands.Group:
    group = app_commands.Group(
        name="privacy",
        description="What this bot keeps about you: get it, or delete it.",
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
    )

    @group.command()
    @shows_errors
    async def export(interaction: Interaction) -> None:
        """Everything this bot keeps about you, as ZIP files: JSON and your pictures."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        archive = await app.privacy.export(interaction.user.id, interaction.filesize_limit)
        await _send(interaction, archive)

    @group.command()
    @shows_errors
    async def delete(interaction: Interaction) -> None:
        """Delete everything this bot keeps about you; it asks first."""
        yes = Button(ButtonId(Action.LEAVE, interaction.user.id), "Delete everything", style=discord.ButtonStyle.danger)
        view = notice(DELETE_TEXT, yes, Button(ButtonId(Action.LEAVE, KEEP), "Keep it"))
        await interaction.response.send_message(view=view, ephemeral=True)

    return group


async def _send(interaction: Interaction, archive: Archive) -> None:
    """Send the parts one by one, so that only one is in memory."""
    day, number = datetime.now(UTC).strftime("%Y-%m-%d"), 0
    async with aclosing(archive.parts()) as parts:
        async for data in parts:
            number += 1
            if number > MAX_PARTS:
                break
            file = discord.File(io.BytesIO(data), filename=f"easel-{day}-{number}.zip")
            if number == 1:
                await interaction.edit_original_response(content=SAVE_IT, attachments=[file])
            else:
                await interaction.followup.send(f"Part {number}", file=file, ephemeral=True)
    if number > MAX_PARTS or archive.left_out:
        await interaction.followup.send(_incomplete(number, archive), ephemeral=True)


def _incomplete(number: int, archive: Archive) -> str:
    if number > MAX_PARTS:
        return f"There is more than fits into {MAX_PARTS} files. Ask whoever runs this bot for the whole of it."
    names = ", ".join(archive.left_out[:10]) + (" …" if len(archive.left_out) > 10 else "")
    return (
        f"{len(archive.left_out)} pictures are too large to be sent here, or gone from the disk: {names}. "
        "Use **U1-U4** under them, or ask whoever runs this bot."
    )


async def _leave(app: Services, interaction: Interaction, number: int) -> None:
    if number == KEEP:
        await interaction.response.edit_message(view=notice("Nothing was deleted."))
        return
    if number != interaction.user.id:
        raise NotYours("Only the person themselves can delete their data: /privacy delete.")
    await interaction.response.edit_message(view=notice("Deleting …"))
    await app.gallery.withdraw(interaction.user.id)
    gone = await app.privacy.forget(interaction.user.id)
    app.preferences.forget(interaction.user.id)
    app.quotas.forget()  # it keeps people's quotas in memory
    text = f"Everything about you was deleted (jobs: {gone.jobs}, files: {gone.files}). You are welcome back any time."
    await interaction.edit_original_response(view=notice(text))
