"""Delete asks once, and what was deleted can be had back for a minute, also after a restart."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Protocol

import discord

from bot.delivery.job_messages import JobMessages
from bot.errors import NotYours
from bot.features.gallery.poster import Gallery
from bot.features.jobs.service import ModeratedJobs
from bot.jobs.records import Job, StoredImage
from bot.jobs.service import Jobs
from bot.kit.button import Button
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.interactions import actor_of, check_visible, may_remove
from bot.languages.speech import N_, _

DELETED = N_("Deleted. For a minute you can have it back.")


class Services(Protocol):
    """What this module works with."""

    gallery: Gallery
    jobs: Jobs
    messages: JobMessages
    moderated_jobs: ModeratedJobs


def install(client: Client, app: Services) -> None:
    """Register the button under pictures, its question and its way back."""

    @client.on_button(Action.DELETE, image=True, shown=False)
    async def ask(interaction: Interaction, job: Job, image: StoredImage) -> None:
        _check_may(interaction, job)
        view = app.messages.before_deleting(job, image, _shown(interaction))
        await interaction.response.edit_message(view=view)

    @client.on_button(Action.DELETE_NO, image=True)
    async def keep(interaction: Interaction, job: Job, _image: StoredImage) -> None:
        _check_may(interaction, job)
        await _show_again(app, interaction, job)

    @client.on_button(Action.DELETE_YES, image=True, shown=False)
    async def delete(interaction: Interaction, job: Job, _image: StoredImage) -> None:
        _check_may(interaction, job)
        by, message = actor_of(interaction), interaction.message
        public = message is not None and not message.flags.ephemeral
        if await app.moderated_jobs.hide(by, job.id, message.id if message and public else None):
            undo = Button(ButtonId(Action.UNDO, job.id), _("Undo"), emoji="↩️")
            await interaction.response.edit_message(view=notice(_(DELETED), undo), attachments=[])
            return
        await interaction.response.defer()
        await app.moderated_jobs.delete(by, job.id, moderator=may_remove(interaction))
        await app.gallery.tidy()
        await interaction.delete_original_response()
        await interaction.followup.send(_("Deleted, with its files."), ephemeral=True)

    @client.on_button(Action.UNDO)
    async def undo(interaction: Interaction, job_id: int) -> None:
        job = await app.moderated_jobs.restore(actor_of(interaction), job_id)
        check_visible(interaction, job)
        await _show_again(app, interaction, job)


async def finish(client: Client, app: Services) -> None:
    """Delete for good what can't be had back any more, with its messages."""
    gone = await app.moderated_jobs.finish_deletions()
    for each in gone:
        channel = client.get_partial_messageable(each.channel_id)
        for message_id in each.message_ids:
            with suppress(discord.HTTPException):  # it may be gone, or its channel
                await channel.get_partial_message(message_id).delete()
    if gone:
        await app.gallery.tidy()


def _check_may(interaction: Interaction, job: Job) -> None:
    """Raises: NotYours."""
    if interaction.user.id != job.user_id and not may_remove(interaction):
        raise NotYours("Only the person who asked for this image, or a moderator, can delete it.")


def _shown(interaction: Interaction) -> str:
    """The file that the message shows; "" = none."""
    files = interaction.message.attachments if interaction.message else []
    return files[0].filename if files else ""


async def _show_again(app: Services, interaction: Interaction, job: Job) -> None:
    """The job's message as it was."""
    await interaction.response.defer()
    view, upload = await app.messages.result(job, await app.jobs.images(job.id))
    file = discord.File(io.BytesIO(upload.data), filename=upload.name)
    await interaction.edit_original_response(view=view, attachments=[file])
