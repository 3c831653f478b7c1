"""/privacy: exporting or deleting what is kept about a member."""

from __future__ import annotations

import io
from contextlib import aclosing
from typing import Protocol

import discord
from discord import app_commands

from bot.errors import NotYours
from bot.features.privacy.service import Privacy
from bot.features.privacy.zip_archive import Archive
from bot.kit.button import Button
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.error_messages import shows_errors
from bot.languages.speech import N_, _

MAX_PARTS = 10  # files of one export; more would be a flood
SAVE_IT = N_("All the data this bot has about you. Only you can see this message. Save the file before it goes away.")
KEEP = 0  # the number of the button that deletes nothing

DELETE_TEXT = N_(
    "## Delete all your data?\n"
    "In **every** server with this bot, your queued and running jobs are cancelled. Your prompts, images, uploads and "
    "settings are deleted from its disk and its safety copies. You lose any credits you have left.\n"
    "-# What stays: numbers without your name (so that the books balance), and bans. Posted messages stay in "
    "Discord, so use their **Delete** button first if you want them gone. What others made from your images is "
    "theirs.\n"
    "-# To get a copy of your data first, use **/privacy export**."
)


class Services(Protocol):
    """What this module works with."""

    privacy: Privacy


def install(client: Client, app: Services) -> None:
    """Add the commands and their buttons to the client."""
    client.tree.add_command(_privacy(app))

    @client.on_button(Action.LEAVE)
    async def leave(interaction: Interaction, number: int) -> None:
        await _leave(app, interaction, number)


def _privacy(app: Services) -> app_commands.Group:
    group = app_commands.Group(
        name="privacy",
        description="Export or delete the data this bot has about you.",
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
    )

    @group.command()
    @shows_errors
    async def export(interaction: Interaction) -> None:
        """Get all your data as ZIP files: JSON and your images."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        archive = await app.privacy.export(interaction.user.id, interaction.filesize_limit)
        await _send(interaction, archive)

    @group.command()
    @shows_errors
    async def delete(interaction: Interaction) -> None:
        """Delete all your data. You're asked to confirm first."""
        yes = Button(
            ButtonId(Action.LEAVE, interaction.user.id), _("Delete everything"), style=discord.ButtonStyle.danger
        )
        view = notice(_(DELETE_TEXT), yes, Button(ButtonId(Action.LEAVE, KEEP), _("Keep it")))
        await interaction.response.send_message(view=view, ephemeral=True)

    return group


async def _send(interaction: Interaction, archive: Archive) -> None:
    """Send the parts one by one, so that only one is in memory."""
    day, number = f"{interaction.created_at:%Y-%m-%d}", 0
    async with aclosing(archive.parts()) as parts:
        async for data in parts:
            number += 1
            if number > MAX_PARTS:
                break
            file = discord.File(io.BytesIO(data), filename=f"easel-{day}-{number}.zip")
            if number == 1:
                await interaction.edit_original_response(content=_(SAVE_IT), attachments=[file])
            else:
                await interaction.followup.send(_("Part {number}", number=number), file=file, ephemeral=True)
    if number > MAX_PARTS or archive.left_out:
        await interaction.followup.send(_incomplete(number, archive), ephemeral=True)


def _incomplete(number: int, archive: Archive) -> str:
    if number > MAX_PARTS:
        return _(
            "Your data doesn't fit into {max_parts} files. Ask the people who run this bot for all of it.",
            max_parts=MAX_PARTS,
        )
    names = ", ".join(archive.left_out[:10]) + (" …" if len(archive.left_out) > 10 else "")
    return _(
        "{count_left_out} images are too large to send here, or missing from the disk: {names}. Use "
        "**U1-U4** under them, or ask the people who run this bot.",
        count_left_out=len(archive.left_out),
        names=names,
    )


async def _leave(app: Services, interaction: Interaction, number: int) -> None:
    if number == KEEP:
        await interaction.response.edit_message(view=notice(_("Nothing was deleted.")))
        return
    if number != interaction.user.id:
        raise NotYours("You can only delete your own data. Use /privacy delete.")
    await interaction.response.edit_message(view=notice(_("Deleting …")))
    gone = await app.privacy.forget(interaction.user.id)
    text = _(
        "All your data was deleted (jobs: {jobs}, files: {files}). You're welcome back any time.",
        jobs=gone.jobs,
        files=gone.files,
    )
    await interaction.edit_original_response(view=notice(text))
