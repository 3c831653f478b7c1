"""What a member made here, for moderators: page by page, with deleting one job or all of them.

It shows what the moderator could see where it was made, and nothing more: no private image, none of another channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import discord
from discord.ui import Section, TextDisplay, Thumbnail

from bot.delivery.layouts import STATE_WORDS
from bot.delivery.thumbnails import thumbnail
from bot.errors import NotFound
from bot.features.credits.panel_members import TAB
from bot.features.gallery.poster import Gallery
from bot.features.jobs.messages import take_down
from bot.features.jobs.service import ModeratedJobs
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job
from bot.jobs.service import Jobs
from bot.kit.admin_panel import Panel
from bot.kit.admin_panel_view import button, buttons
from bot.kit.checks import check_moderator
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.kit.interactions import viewer_of
from bot.languages.speech import N_, _, ngettext
from bot.orders.visibility import Viewer, may_know, may_read
from bot.prompt.text import shown

PAGE = 4  # jobs: each takes five of a message's 40 components
PORTION = 100  # jobs that are looked at in one read
KEPT = N_("-# Private images aren't listed, nor those of channels that you can't read; **Delete all** leaves them too.")
PRICE = N_("What they cost isn't given back.")


class Services(Protocol):
    """What this module works with."""

    files: ImageFiles
    gallery: Gallery
    jobs: Jobs
    moderated_jobs: ModeratedJobs


def install(client: Client, panel: Panel, app: Services) -> None:
    """Add the buttons. Their number is the member's, or that of the job that the page begins after."""

    async def show(interaction: Interaction, user_id: int, before: int | None = None, note: str = "") -> None:
        parts, files = await _page(app, interaction, user_id, before)
        await panel.show_parts(interaction, TAB, parts, note, files)

    async def delete(interaction: Interaction, user_id: int, jobs: Sequence[Job], what: str) -> None:
        by = check_moderator(interaction)
        await interaction.response.defer()
        await app.moderated_jobs.delete_all(by, user_id, [job.id for job in jobs])
        await show(
            interaction,
            user_id,
            note=_("Deleted {what} of <@{user}>. {price}", what=what, user=user_id, price=_(PRICE)),
        )
        for job in jobs:
            await take_down(client, job)
        await app.gallery.tidy()

    @client.on_button(Action.PICTURES)
    async def newest(interaction: Interaction, user_id: int) -> None:
        check_moderator(interaction)
        await show(interaction, user_id)

    @client.on_button(Action.PICTURES_OLDER)
    async def older(interaction: Interaction, job_id: int) -> None:
        check_moderator(interaction)
        await show(interaction, (await app.jobs.get(job_id)).user_id, job_id)

    @client.on_button(Action.PICTURES_ONE)
    async def delete_one(interaction: Interaction, job_id: int) -> None:
        check_moderator(interaction)
        job = await app.jobs.get(job_id)
        if not _is_listed(viewer_of(interaction), job):
            raise NotFound("There's no such image here.")
        await delete(interaction, job.user_id, [job], _("job #{job}", job=job_id))

    @client.on_button(Action.PICTURES_ASK)
    async def ask(interaction: Interaction, user_id: int) -> None:
        check_moderator(interaction)
        await panel.show_parts(interaction, TAB, _question(user_id, len(await _listed(app, interaction, user_id))))

    @client.on_button(Action.PICTURES_ALL)
    async def delete_all(interaction: Interaction, user_id: int) -> None:
        check_moderator(interaction)
        jobs = await _listed(app, interaction, user_id)
        await delete(interaction, user_id, jobs, _count(len(jobs)))


def _is_listed(viewer: Viewer, job: Job) -> bool:
    return not job.private and may_know(viewer, job)


async def _listed(
    app: Services, interaction: Interaction, user_id: int, before: int | None = None, limit: int | None = None
) -> list[Job]:
    """What a member made here and this moderator may know of, newest first; all of it, or `limit` jobs."""
    viewer, found = viewer_of(interaction), list[Job]()
    while limit is None or len(found) < limit:
        jobs = await app.jobs.history(user_id, viewer.actor.guild_id, before, PORTION)
        found += [job for job in jobs if _is_listed(viewer, job)]
        if len(jobs) < PORTION:
            break
        before = jobs[-1].id
    return found[:limit]


async def _page(
    app: Services, interaction: Interaction, user_id: int, before: int | None
) -> tuple[list[Any], list[discord.File]]:
    jobs = await _listed(app, interaction, user_id, before, PAGE + 1)
    parts: list[Any] = [
        TextDisplay(_(N_("### Images of <@{user}>") if jobs else N_("### No images of <@{user}>"), user=user_id))
    ]
    files = []
    for job in jobs[:PAGE]:
        file = await thumbnail(app.files, interaction, job, await app.jobs.images(job.id))
        files += [file] if file else []
        parts += _job_parts(job, viewer_of(interaction), file.filename if file else None)
    row = [button(Action.PICTURES_OLDER, jobs[PAGE - 1].id, _("Older"))] if len(jobs) > PAGE else []
    row += [button(Action.PICTURES, user_id, _("Newest"))] if before else []
    row += [button(Action.PICTURES_ASK, user_id, _("Delete all …"), danger=True)] if jobs else []
    return [*parts, buttons(*row, button(Action.PERSON, user_id, _("Back"))), TextDisplay(_(KEPT))], files


def _job_parts(job: Job, viewer: Viewer, picture: str | None) -> list[Any]:
    words = shown(job.spec.prompt, 200) or _("(no prompt)") if may_read(viewer, job) else _("(age-restricted)")
    text = f"{words}\n-# #{job.id} · <#{job.channel_id}> · {_(STATE_WORDS[job.state])} · <t:{job.created_at // 1000}:R>"
    above: Any = TextDisplay(text)
    if picture:
        above = Section(
            text, accessory=Thumbnail(f"attachment://{picture}", description=_("The images of job {id}", id=job.id))
        )
    return [above, buttons(button(Action.PICTURES_ONE, job.id, _("Delete"), danger=True))]


def _question(user_id: int, count: int) -> list[Any]:
    text = _(
        "Delete what <@{user}> made here, **{jobs}** with all images? This can't be undone. {price}",
        user=user_id,
        jobs=_count(count),
        price=_(PRICE),
    )
    delete = _("Delete {jobs}", jobs=_count(count))
    yes = [button(Action.PICTURES_ALL, user_id, delete, danger=True)] if count else []
    return [TextDisplay(f"{text}\n{_(KEPT)}"), buttons(*yes, button(Action.PICTURES, user_id, _("Keep them")))]


def _count(jobs: int) -> str:
    return ngettext("1 job", "{n} jobs", jobs)
