"""/show, /history and /queue: what one has made and is making."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Protocol

import discord
from discord import app_commands

from bot.delivery import image_tools, layouts
from bot.delivery.job_messages import JobMessages
from bot.delivery.layouts import Layouts
from bot.errors import NotFound, Refused
from bot.features.generate.submission import Submission
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, StoredImage
from bot.jobs.service import Jobs
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.custom_ids import Action
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import acknowledge, check_obtainable, check_permissions, check_visible, load_job
from bot.threads.pools import PICTURES

PAGE = 4  # jobs of one history page: 4 x (section + text + thumbnail + row + button) stays far under 40 components
MAX_JOBS_SHOWN = 8


class Services(Protocol):
    """What this module works with."""

    files: ImageFiles
    jobs: Jobs
    layouts: Layouts
    messages: JobMessages
    submission: Submission


def install(client: Client, app: Services) -> None:
    """Add the commands and their buttons to the client."""

    @client.tree.command()
    @app_commands.describe(job="The job's number, as /history shows it")
    @shows_errors
    async def show(interaction: Interaction, job: app_commands.Range[int, 1]) -> None:
        """Post a job again, with working buttons."""
        await _show(app, interaction, await load_job(interaction, job, shown=False))

    @client.tree.command()
    @shows_errors
    async def history(interaction: Interaction) -> None:
        """What you made here, newest first."""
        await acknowledge(interaction, private=True)
        await _history(app, interaction, None)

    @client.tree.command()
    @shows_errors
    async def queue(interaction: Interaction) -> None:
        """Your active jobs, with their place in the queue and a Cancel button."""
        await acknowledge(interaction, private=True)
        await _queue(app, interaction)

    @client.on_button(Action.SHOW, job=True, shown=False)
    async def shown_again(interaction: Interaction, job: Job) -> None:
        await _show(app, interaction, job)

    @client.on_button(Action.OLDER)
    async def older(interaction: Interaction, before: int) -> None:
        await interaction.response.defer()
        await _history(app, interaction, before)


async def _show(app: Services, interaction: Interaction, job: Job) -> None:
    check_obtainable(interaction, job)
    images = await app.jobs.images(job.id)
    if not images:
        raise NotFound(f"Job {job.id} has no pictures: it {layouts.STATE_WORDS[job.state]}.")
    check_permissions(interaction, job.private)
    await acknowledge(interaction, private=job.private)
    await app.submission.check_here(interaction)
    view, upload = await app.messages.result(job, images)
    if job.unpaid:
        await app.jobs.hand_over(job, interaction.user.id, await app.submission.terms(interaction))
    file = discord.File(io.BytesIO(upload.data), filename=upload.name)
    await interaction.edit_original_response(view=view, attachments=[file])


async def _history(app: Services, interaction: Interaction, before: int | None) -> None:
    jobs = await app.jobs.history(interaction.user.id, interaction.guild_id or 0, before, PAGE + 1)
    if not jobs:
        text = "Nothing older." if before else "You haven't made anything here yet. Try **/imagine** a red boat."
        await interaction.edit_original_response(view=notice(text), attachments=[])
        return
    rows, files = [], []
    for job in jobs[:PAGE]:
        images = await app.jobs.images(job.id)
        file = await thumbnail(app.files, interaction, job, images)
        rows.append((job, file.filename if file else None))
        files += [file] if file else []
    more = jobs[PAGE - 1].id if len(jobs) > PAGE else None
    await interaction.edit_original_response(view=app.layouts.history(rows, more), attachments=files)


async def thumbnail(
    files: ImageFiles, interaction: Interaction, job: Job, images: list[StoredImage]
) -> discord.File | None:
    """The job's grid, small; None when it has no pictures, their files are gone, or they are not for this channel."""
    try:
        check_visible(interaction, job)
    except Refused:
        return None
    blobs = []
    for image in images[:4]:
        with suppress(NotFound):
            blobs.append(await files.read(image.path, image.sha256))
    if not blobs:
        return None
    data = await PICTURES.run(lambda: image_tools.thumbnail(image_tools.grid([image_tools.opened(b) for b in blobs])))
    return discord.File(io.BytesIO(data), filename=f"job-{job.id}.webp")


async def _queue(app: Services, interaction: Interaction) -> None:
    delivery = app.messages
    jobs = await app.jobs.active(interaction.user.id, interaction.guild_id or 0)
    rows = []
    for job in jobs[:MAX_JOBS_SHOWN]:
        state = delivery.painting(job.id)
        if job.state == "queued":
            state.position = await app.jobs.position(job.id)
        rows.append((job, state))
    view = app.layouts.queue(rows) if rows else notice("You have no active jobs.")
    await interaction.edit_original_response(view=view)
