"""/admin jobs and /admin undelivered: everyone's active jobs, and those whose images wait to be delivered."""

from __future__ import annotations

from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Range

from bot.delivery.layouts import charged
from bot.errors import BadInput, NotYours
from bot.features.jobs import panel_jobs
from bot.features.jobs.service import ModeratedJobs
from bot.features.jobs.views import jobs_view, undelivered_view
from bot.jobs.records import Job
from bot.kit.admin_panel import AdminArea
from bot.kit.checks import check_admin, check_moderator, guarded, moderated
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.custom_ids import Action
from bot.kit.interactions import viewer_of
from bot.languages.speech import _, ngettext

MAX_LISTED = 100  # undelivered jobs that are looked for


class Services(Protocol):
    """What this module works with."""

    moderated_jobs: ModeratedJobs


def install(client: Client, area: AdminArea, app: Services) -> None:
    """Add the subcommands to /admin, and their buttons to the client."""
    _install_jobs(area, app)
    _install_undelivered(area, app)
    panel_jobs.install(area.panel, app)

    @client.on_button(Action.DELIVER)
    async def deliver(interaction: Interaction, job_id: int) -> None:
        by = check_admin(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        job = await app.moderated_jobs.deliver_again(by, job_id)
        text = _("The images of job {id} are on their way to <@{user}>.", id=job.id, user=job.user_id)
        await interaction.edit_original_response(view=notice(text))

    @client.on_button(Action.STOP)
    async def stop(interaction: Interaction, job_id: int) -> None:
        by = check_moderator(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        ended = await app.moderated_jobs.cancel(by, job_id, moderator=True)
        await interaction.edit_original_response(view=notice(_cancelled(ended)))


def _install_jobs(area: AdminArea, app: Services) -> None:
    @area.group.command()
    @app_commands.describe(
        user="Only this member's",
        cancel="The number of a job to cancel, or with a user: 0 for all of theirs",
        everywhere="In every server (only for those who run this bot)",
    )
    @moderated
    async def jobs(
        interaction: discord.Interaction[Client],
        user: discord.User | None = None,
        cancel: Range[int, 0] | None = None,
        everywhere: bool = False,
    ) -> None:
        """See everyone's queued and running jobs, and cancel them."""
        by = check_moderator(interaction)
        if everywhere and not by.is_operator:
            raise NotYours("Only the people who run this bot can see the jobs of every server.")
        await interaction.response.defer(ephemeral=True, thinking=True)
        place, user_id = None if everywhere else by.guild_id, user.id if user else None
        if cancel is None:
            view = jobs_view(await app.moderated_jobs.active(place, user_id), viewer_of(interaction))
        elif cancel:
            view = notice(_cancelled(await app.moderated_jobs.cancel(by, cancel, moderator=True)))
        elif user_id is None:
            raise BadInput("To cancel all jobs of a member, choose the user too. Or give the number of one job.")
        else:
            ended = await app.moderated_jobs.cancel_all(by, place, user_id)
            jobs_ = ngettext("1 job", "{n} jobs", len(ended))
            view = notice(_("Cancelled {jobs} of <@{user}>. Nothing was charged.", jobs=jobs_, user=user_id))
        await interaction.edit_original_response(view=view)


def _install_undelivered(area: AdminArea, app: Services) -> None:
    @area.group.command()
    @app_commands.describe(everywhere="In every server (only for those who run this bot)")
    @guarded
    async def undelivered(interaction: discord.Interaction[Client], everywhere: bool = False) -> None:
        """See jobs whose images couldn't be delivered, and try again."""
        by = check_admin(interaction)
        if everywhere and not by.is_operator:
            raise NotYours("Only the people who run this bot can see the jobs of every server.")
        await interaction.response.defer(ephemeral=True, thinking=True)
        found = await app.moderated_jobs.undelivered(None if everywhere else by.guild_id, MAX_LISTED)
        await interaction.edit_original_response(view=undelivered_view(found, viewer_of(interaction)))


def _cancelled(job: Job) -> str:
    return _("Cancelled job {id} of <@{user}>. {charged}", id=job.id, user=job.user_id, charged=charged(job))
