"""/show, /history, /queue, /info and /help: what one has made, is making and may make."""

from __future__ import annotations

import asyncio
import io
from contextlib import suppress
from typing import Protocol

import discord
from discord import app_commands

from bot.delivery import image_tools, layouts
from bot.delivery.job_messages import JobMessages
from bot.delivery.layouts import Layouts
from bot.errors import NotFound, Refused
from bot.features.credits.service import Credits
from bot.features.generate.submission import Submission
from bot.features.moderation.service import Moderation
from bot.features.moderation.views import pause_line
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, StoredImage
from bot.jobs.service import Jobs
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.custom_ids import Action
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import acknowledge, check_obtainable, check_permissions, check_visible, load_job
from bot.orders import drafts
from engine import mini
from engine.backend import Backend

PAGE = 4  # jobs of one history page: 4 x (section + text + thumbnail + row + button) stays far under 40 components
MAX_JOBS_SHOWN = 8

HELP = """**/imagine** paints four pictures of your words. Under them:
**U1-U4** one picture alone · **V1-V4** four neighbours of it · 🔄 the same words, new pictures
**Upscale**, **Vary**, **Zoom Out**, ⬅️➡️⬆️⬇️ under one picture: larger, others like it, more around it
**Remix** change words, size or seed · **Seed** the line that makes it again · **Delete**
**/vary** **/upscale** **/outpaint** **/inpaint** **/blend** the same with any picture; see also a message's Apps
**/control** your words along a picture's outlines, where a ControlNet is configured
**/describe** words for a picture · **/compare** steps, guidance or seeds side by side · **/style** words to reuse

**In the prompt**: `--ar 3:2` `--size 512x768` `--seed 7` `--no clouds` `--steps 20` `--cfg 5` `--repeat 2` `--tile`
`{red, blue} boat` makes both · `(boat:1.3)` more of it, `[boat]` less

**/history** what you made · **/queue** what is on its way · **/show** post a job again
**/credits** what you have and what things cost · **/settings** how you like it · **/privacy** your data
You pay for pictures you get, and for the steps that were painted of a job you cancel."""


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    files: ImageFiles
    jobs: Jobs
    layouts: Layouts
    messages: JobMessages
    moderation: Moderation
    submission: Submission
    credits: Credits


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

    @client.tree.command()
    @shows_errors
    async def info(interaction: Interaction) -> None:
        """Your credits, what things cost, and what is running."""
        await acknowledge(interaction, private=True)
        await interaction.edit_original_response(view=notice(await _info(app, interaction)))

    @client.tree.command(name="help")
    @shows_errors
    async def help_(interaction: Interaction) -> None:
        """How to use Easel."""
        keys = [info.key for info in app.backend.models()]
        lines = [HELP, f"-# Models here: {', '.join(f'`{key}`' for key in keys)}"]
        lines += [f"-# Mini knows these {kind}: {', '.join(words)}" for kind, words in _vocabulary(keys).items()]
        view = notice("\n".join(lines))
        await interaction.response.send_message(view=view, ephemeral=True)

    @client.on_button(Action.SHOW, job=True, shown=False)
    async def shown_again(interaction: Interaction, job: Job) -> None:
        await _show(app, interaction, job)

    @client.on_button(Action.OLDER)
    async def older(interaction: Interaction, before: int) -> None:
        await interaction.response.defer()
        await _history(app, interaction, before)


def _vocabulary(keys: list[str]) -> dict[str, tuple[str, ...]]:
    """What the embedded model can paint, if it is here: it knows a small world only."""
    known = mini.vocabulary() if layouts.MINI in keys else {}
    return {kind: words for kind, words in known.items() if kind in ("things", "colours", "scenes", "styles")}


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
        file = await _thumbnail(app, interaction, job, images)
        rows.append((job, file.filename if file else None))
        files += [file] if file else []
    more = jobs[PAGE - 1].id if len(jobs) > PAGE else None
    await interaction.edit_original_response(view=app.layouts.history(rows, more), attachments=files)


async def _thumbnail(
    app: Services, interaction: Interaction, job: Job, images: list[StoredImage]
) -> discord.File | None:
    """The job's grid, small; None when it has no pictures, their files are gone, or they are not for this channel."""
    try:
        check_visible(interaction, job)
    except Refused:
        return None
    blobs = []
    for image in images[:4]:
        with suppress(NotFound):
            blobs.append(await app.files.read(image.path, image.sha256))
    if not blobs:
        return None
    data = await asyncio.to_thread(
        lambda: image_tools.thumbnail(image_tools.grid([image_tools.opened(b) for b in blobs]))
    )
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


async def _info(app: Services, interaction: Interaction) -> str:
    guild_id, terms = interaction.guild_id or 0, await app.submission.terms(interaction)
    balance = await app.credits.balance(interaction.user.id, guild_id, terms)
    mine = await app.jobs.active(interaction.user.id, guild_id)
    info = app.backend.models()[0]
    grid_text = layouts.credits_text(4 * drafts.PICTURE_MC)
    lines = [
        f"You have **{layouts.credits_text(balance.free_mc + balance.paid_mc)}**"
        + (f" and {layouts.credits_text(balance.reserved_mc)} set aside for active jobs." if mine else "."),
        f"{layouts.credits_text(terms.allowance_mc)} a {terms.period} are free; "
        f"they renew <t:{balance.renews_at_ms // 1000}:R>.",
        f"A grid at {info.width}x{info.height} and {info.num_inference_steps} steps costs {grid_text}; "
        "the price grows with pixels and steps; `heun` takes two for each. You pay only for pictures you get, "
        "and for the steps that were painted of a job you cancel.",
        f"Your active jobs: {len(mine)}. Waiting in the whole queue: {await app.jobs.queue_length()}.",
    ]
    lines += [f"**{pause_line(pause)}**" for pause in await app.moderation.pauses(guild_id)]
    return "\n".join(lines)
