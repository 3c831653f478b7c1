"""The star button under finished pictures."""

from __future__ import annotations

from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.kit.interactions import check_visible


def install(client: Client) -> None:
    """Register the button."""

    @client.on_button(Action.STAR)
    async def star(interaction: Interaction, job_id: int) -> None:
        studio = interaction.client.studio
        job = await studio.store.job(job_id)
        check_visible(interaction, job)
        images = await studio.store.images(job_id)
        count = await studio.stars.toggle(job, images, interaction.user.id)
        shown = interaction.message.attachments if interaction.message else []
        if shown:  # the picture stays as it is: only the number changes
            view = interaction.client.studio.messages.finished(job, images, shown[0].filename, count)
            await interaction.response.edit_message(view=view)
        else:
            await interaction.response.defer()
        await interaction.client.studio.gallery.consider(job, images, count)
