"""The star button under finished pictures."""

from __future__ import annotations

from typing import Protocol

from bot.delivery.job_messages import JobMessages
from bot.features.gallery.poster import Gallery
from bot.features.gallery.service import Stars
from bot.jobs.records import Job
from bot.jobs.service import Jobs
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.languages.speech import N_, _

STARRED = N_("⭐ One of your favourites now. **/history** `starred:True` shows them.")
UNSTARRED = N_("Taken off your favourites.")


class Services(Protocol):
    """What this module works with."""

    gallery: Gallery
    messages: JobMessages
    stars: Stars
    jobs: Jobs


def install(client: Client, app: Services) -> None:
    """Register the button."""

    @client.on_button(Action.STAR, job=True)
    async def star(interaction: Interaction, job: Job) -> None:
        images = await app.jobs.images(job.id)
        starred = await app.stars.toggle(job, images, interaction.user.id)
        count = await app.stars.count(job, images)
        shown = interaction.message.attachments if interaction.message else []
        if shown:  # the picture stays as it is: only the number changes
            view = app.messages.finished(job, images, shown[0].filename, count)
            await interaction.response.edit_message(view=view)
        else:
            await interaction.response.defer()
        await interaction.followup.send(_(STARRED if starred else UNSTARRED), ephemeral=True)
        await app.gallery.consider(job, images, count)
