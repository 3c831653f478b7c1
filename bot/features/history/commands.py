"""/show, /history and /queue: what one has made, what it came from, and what one is making."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.delivery import layouts
from bot.delivery.job_messages import JobMessages
from bot.delivery.layouts import Layouts
from bot.delivery.thumbnails import thumbnail
from bot.errors import NotFound
from bot.features.generate.submission import Submission
from bot.features.history import views
from bot.features.history.gallery_page import GalleryPage
from bot.features.history.service import History
from bot.features.history.store import Wanted
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job
from bot.jobs.service import Jobs
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import acknowledge, check_obtainable, check_permissions, load_job, viewer_of
from bot.languages.speech import N_, _, later
from bot.store.key_value_store import KeyValues
from engine.backend import Backend
from engine.tasks import TASKS

MAX_CHOICES, MAX_FILES = 25, 10  # Discord's
MOST_BYTES = 24 * 2**20  # of one message; Discord takes 25 MiB
NOTHING_YET = N_("You haven't made anything here yet. Try **/imagine** a red boat.")
NOTHING_FOUND = N_("Nothing of yours fits that. Use fewer words, or /history without options.")
PAGE = 4  # jobs of one history page: 4 x (section + text + thumbnail + row + button) stays far under 40 components
MAX_JOBS_SHOWN = 8


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    files: ImageFiles
    gallery_page: GalleryPage
    history: History
    key_values: KeyValues
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

    _install_history(app, client)

    @client.tree.command()
    @shows_errors
    async def queue(interaction: Interaction) -> None:
        """Your active jobs, with their place in the queue and a Cancel button."""
        await acknowledge(interaction, private=True)
        await _queue(app, interaction)

    @client.on_button(Action.SHOW, job=True, shown=False)
    async def shown_again(interaction: Interaction, job: Job) -> None:
        await _show(app, interaction, job)


def _install_history(app: Services, client: Client) -> None:
    @client.tree.command()
    @app_commands.describe(
        words="Words of the prompt",
        model="Only what this model painted",
        kind="Only what was made this way",
        starred="Only your favourites, those with your ⭐",
    )
    @shows_errors
    async def history(
        interaction: discord.Interaction[Client],
        words: Range[str, 1, 200] | None = None,
        model: Range[str, 1, 80] | None = None,
        kind: Range[str, 1, 40] | None = None,
        starred: bool = False,
    ) -> None:
        """What you made here, newest first."""
        await acknowledge(interaction, private=True)
        wanted = Wanted(
            words=tuple((words or "").split()), model=model or "", kind=(kind or "").casefold(), starred=starred
        )
        await _history(app, interaction, interaction.id, wanted, None)

    @history.autocomplete("model")
    async def models(interaction: Interaction, typed: str) -> list[Choice[str]]:
        return _choices([info.key for info in app.backend.models()], typed)

    @history.autocomplete("kind")
    async def kinds(interaction: Interaction, typed: str) -> list[Choice[str]]:
        return _choices(["imagine", "vary", *TASKS], typed)

    _install_buttons(app, client)


def _install_buttons(app: Services, client: Client) -> None:
    @client.on_button(Action.OLDER)
    async def older(interaction: Interaction, before: int) -> None:
        await interaction.response.defer()
        await _history(app, interaction, interaction.id, Wanted(), before)

    @client.on_button(Action.OLDER_FOUND)
    async def older_found(interaction: Interaction, number: int) -> None:
        kept = await app.key_values.recall(f"history:{number}")
        owner, wanted, before = json.loads(kept) if kept else (0, {}, None)
        if owner != interaction.user.id:
            raise NotFound("This is older than a day, or someone else's. Use /history again.")
        await interaction.response.defer()
        wanted["words"] = tuple(wanted["words"])
        await _history(app, interaction, number, Wanted(**wanted), before)

    @client.on_button(Action.FAMILY, job=True)
    async def family(interaction: Interaction, job: Job) -> None:
        kin = await app.history.family(job, viewer_of(interaction))
        await interaction.response.send_message(view=views.family(kin, job.id), ephemeral=True)

    @client.on_button(Action.ORIGINALS, job=True)
    async def originals(interaction: Interaction, job: Job) -> None:
        await interaction.response.defer(thinking=True, ephemeral=True)
        await _originals(app, interaction, job)


def _choices(names: Sequence[str], typed: str) -> list[Choice[str]]:
    wanted = typed.strip().casefold()
    found = [name for name in dict.fromkeys(names) if wanted in name.casefold()]
    return [Choice(name=name[:100], value=name[:100]) for name in found[:MAX_CHOICES]]


async def _originals(app: Services, interaction: Interaction, job: Job) -> None:
    """The stored files of a job, as they are; those that are too large for a message are named."""
    files: list[discord.File] = []
    too_large: list[str] = []
    room = MOST_BYTES
    for image in await app.jobs.images(job.id):
        if image.bytes > min(room, interaction.filesize_limit) or len(files) == MAX_FILES:
            too_large.append(str(image.ordinal + 1))
            continue
        room -= image.bytes
        data = await app.files.read(image.path, image.sha256)
        name = f"easel-{job.id}-{image.ordinal + 1}.{image.mime.rsplit('/', 1)[-1]}"
        files.append(discord.File(io.BytesIO(data), filename=name))
    text = _("The files of #{id} as they were painted, with how they were made.", id=job.id)
    if too_large:
        text += " " + _(
            "Too large for one message here: {names}. **U1**-**U4** show them one by one.", names=", ".join(too_large)
        )
    await interaction.edit_original_response(content=text, attachments=files)


async def _show(app: Services, interaction: Interaction, job: Job) -> None:
    check_obtainable(interaction, job)
    images = await app.jobs.images(job.id)
    if not images:
        raise NotFound(
            "Job {id} has no pictures: it {state_words}.",
            id=job.id,
            state_words=later(_, layouts.STATE_WORDS[job.state]),
        )
    check_permissions(interaction, job.private)
    await acknowledge(interaction, private=job.private)
    await app.submission.check_here(interaction)
    view, upload = await app.messages.result(job, images)
    if job.unpaid:
        await app.jobs.hand_over(job, interaction.user.id, await app.submission.terms(interaction))
    file = discord.File(io.BytesIO(upload.data), filename=upload.name)
    await interaction.edit_original_response(view=view, attachments=[file])


async def _history(app: Services, interaction: Interaction, number: int, wanted: Wanted, before: int | None) -> None:
    jobs = await app.history.search(interaction.user.id, interaction.guild_id or 0, wanted, before, PAGE + 1)
    if not jobs:
        text = _(NOTHING_FOUND if wanted != Wanted() else NOTHING_YET)
        view = notice(_("Nothing older.") if before else text)
        await interaction.edit_original_response(view=view, attachments=[])
        return
    rows, files = [], []
    for job in jobs[:PAGE]:
        images = await app.jobs.images(job.id)
        file = await thumbnail(app.files, interaction, job, images)
        rows.append((job, file.filename if file else None))
        files += [file] if file else []
    older = await _older(app, interaction, number, wanted, jobs[PAGE - 1].id) if len(jobs) > PAGE else None
    link = await app.gallery_page.link(interaction.user.id, interaction.guild_id or 0, wanted)
    await interaction.edit_original_response(view=app.layouts.history(rows, older, link), attachments=files)


async def _older(app: Services, interaction: Interaction, number: int, wanted: Wanted, before: int) -> ButtonId:
    """The button to the next page; what is looked for does not fit into its id."""
    if wanted == Wanted():
        return ButtonId(Action.OLDER, before)
    await app.key_values.remember(f"history:{number}", json.dumps([interaction.user.id, asdict(wanted), before]))
    return ButtonId(Action.OLDER_FOUND, number)


async def _queue(app: Services, interaction: Interaction) -> None:
    delivery = app.messages
    jobs = await app.jobs.active(interaction.user.id, interaction.guild_id or 0)
    rows = []
    for job in jobs[:MAX_JOBS_SHOWN]:
        state = delivery.painting(job.id)
        if job.state == "queued":
            state.position = await app.jobs.position(job.id)
        rows.append((job, state))
    view = app.layouts.queue(rows) if rows else notice(_("You have no active jobs."))
    await interaction.edit_original_response(view=view)
