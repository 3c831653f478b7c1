"""/admin reports and the panel's page: what members reported, and deciding about it."""

from __future__ import annotations

import io
from typing import Any, Protocol

import discord
from discord.ui import TextDisplay

from bot.delivery.job_messages import JobMessages
from bot.errors import NotFound
from bot.features.gallery.poster import Gallery
from bot.features.jobs.messages import take_down
from bot.features.jobs.service import ModeratedJobs
from bot.features.reports import buttons as report_buttons
from bot.features.reports import member_pictures
from bot.features.reports.store import Report, Waiting
from bot.jobs.records import Job
from bot.kit.admin_panel import AdminArea
from bot.kit.admin_panel_view import Tab, button, buttons
from bot.kit.checks import check_moderator, moderated
from bot.kit.client import Client, Interaction
from bot.kit.components import gallery
from bot.kit.custom_ids import Action, SelectId
from bot.kit.interactions import viewer_of
from bot.kit.select import MAX_OPTIONS, Select, row_of
from bot.languages.speech import N_, _, ngettext
from bot.orders.visibility import may_read, may_see
from bot.prompt.text import shown

TAB = Tab(9, N_("Reports"), "🚩", N_("Images that members reported."), moderators=True)
PRICE = N_("Its price isn't given back.")
HIDDEN = N_("(Not for this channel: look at it where it was made.)")


class Services(report_buttons.Services, Protocol):
    """What this page works with."""

    gallery: Gallery
    messages: JobMessages
    moderated_jobs: ModeratedJobs


def install(client: Client, area: AdminArea, app: Services) -> None:
    """Add the command and the page, and what members press."""
    report_buttons.install(client, app)
    member_pictures.install(client, area.panel, app)
    panel = area.panel
    panel.add(TAB, lambda interaction: _parts(app, interaction))

    @area.group.command()
    @moderated
    async def reports(interaction: Interaction) -> None:
        """See what members reported, and decide about it."""
        await panel.open(interaction, TAB)

    @client.on_select(Action.REPORTS)
    async def look(interaction: Interaction, _number: int, values: tuple[str, ...]) -> None:
        check_moderator(interaction)
        job = await app.jobs.get(int(values[0]) if values[0].isdecimal() else 0)
        parts, files = await _one(app, interaction, job)
        await panel.show_parts(interaction, TAB, parts, files=files)

    @client.on_button(Action.KEEP)
    async def keep(interaction: Interaction, job_id: int) -> None:
        await app.reports.dismiss(check_moderator(interaction), await app.jobs.get(job_id))
        await panel.show(interaction, TAB, _("Dismissed: job {id} stays.", id=job_id))

    @client.on_button(Action.TAKE_DOWN)
    async def delete(interaction: Interaction, job_id: int) -> None:
        by, job = check_moderator(interaction), await app.jobs.get(job_id)
        await app.reports.of_job(by, job)  # only what was reported
        await app.moderated_jobs.delete(by, job_id, moderator=True)
        await panel.show(
            interaction, TAB, _("Deleted job {id} of <@{user}>. {price}", id=job_id, user=job.user_id, price=_(PRICE))
        )
        await take_down(client, job)
        await app.gallery.tidy()
        await app.reports.tell_outcomes()


async def _parts(app: Services, interaction: Interaction) -> list[Any]:
    waiting = await app.reports.waiting(check_moderator(interaction), MAX_OPTIONS)
    if not waiting:
        return [TextDisplay(_("No image is reported."))]
    jobs = [(each, await app.jobs.get(each.job_id)) for each in waiting]
    lines = [f"{_who(job)}: {_count(each)}" for each, job in jobs]
    options = [(f"#{job.id} · {_count(each)}", str(job.id)) for each, job in jobs]
    choice = Select.text(SelectId(Action.REPORTS, 0), options, placeholder=_("Look at one"))
    return [TextDisplay("\n".join(lines)), row_of(choice)]


def _count(each: Waiting) -> str:
    return ngettext("1 report", "{n} reports", each.reports)


async def _one(app: Services, interaction: Interaction, job: Job) -> tuple[list[Any], list[discord.File]]:
    """One reported job: its image where it may be shown, who reported it and why. Raises: NotFound."""
    viewer = viewer_of(interaction)
    reports = await app.reports.of_job(viewer.actor, job)
    words = shown(job.spec.prompt, 600) or _("(no prompt)") if may_read(viewer, job) else _(HIDDEN)
    where = f"{_who(job)}, <t:{job.created_at // 1000}:R>"
    parts: list[Any] = [TextDisplay(f"{where}\n{words}")]
    file = await _picture(app, job) if may_see(viewer, job) else None
    if file is not None:
        parts.append(gallery(file.filename, _("The reported image of job {id}", id=job.id), spoiler=True))
    parts.append(TextDisplay("\n".join(map(_line, reports[:10]))))
    row = buttons(
        button(Action.KEEP, job.id, _("Dismiss")),
        button(Action.TAKE_DOWN, job.id, _("Delete image"), danger=True),
        button(Action.BAN, job.user_id, _("Ban …"), danger=True),
        button(Action.PANEL, TAB.number, _("Back")),
    )
    about = _("-# Deleting removes it from Discord too. {price}", price=_(PRICE))
    return [*parts, row, TextDisplay(about)], [file] if file else []


def _who(job: Job) -> str:
    return _("Job {id} by <@{user}> in <#{channel}>", id=job.id, user=job.user_id, channel=job.channel_id)


def _line(report: Report) -> str:
    return f"<@{report.reporter_id}>, <t:{report.created_at // 1000}:R>: {shown(report.reason, 250)}"


async def _picture(app: Services, job: Job) -> discord.File | None:
    """What was posted; None when its files are gone."""
    try:
        _view, upload = await app.messages.result(job, await app.jobs.images(job.id))
    except NotFound:
        return None
    return discord.File(io.BytesIO(upload.data), filename=upload.name)
