"""The button and the menu "Report", and telling members how their reports ended."""

from __future__ import annotations

import logging
from typing import Protocol

import discord
from discord import app_commands

from bot.errors import BadInput
from bot.features.generate import image_lookup
from bot.features.generate.submission import Submission
from bot.features.reports.acts import MAX_REASON_CHARS
from bot.features.reports.service import Reports, check_reportable
from bot.features.reports.store import Report
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job
from bot.jobs.service import Jobs
from bot.kit import modals
from bot.kit.admin_panel_view import ask, text
from bot.kit.client import Client, Interaction
from bot.kit.components import NOBODY, notice
from bot.kit.custom_ids import Action
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import actor_of
from bot.languages.speech import N_, _, speak
from bot.prompt.text import shown

log = logging.getLogger(__name__)
OUTCOMES = {
    "deleted": N_("The image you reported in {server} was deleted."),
    "dismissed": N_("A moderator of {server} looked at the image you reported, and it stays."),
}
NOT_OURS = N_(
    "Only images made with Easel can be reported to Easel's moderators. For anything else, use Discord's own Report."
)


class Services(Protocol):
    """What this module works with."""

    files: ImageFiles
    jobs: Jobs
    reports: Reports
    submission: Submission


def install(client: Client, app: Services) -> None:
    """Add the button, its form and the menu to the client."""

    async def ask_why(interaction: Interaction, job: Job) -> None:
        check_reportable(actor_of(interaction), job)
        reason = text("reason", _("What's wrong with it?"), most=MAX_REASON_CHARS, needed=True)
        await interaction.client.forms.send(interaction, ask(_("Report an image"), Action.REPORT, job.id, reason))

    client.on_button(Action.REPORT, job=True)(ask_why)

    @client.on_modal(Action.REPORT, job=True)
    async def reported(interaction: Interaction, job: Job) -> None:
        reason = modals.answers(interaction).get("reason", "")
        await app.reports.report(actor_of(interaction), job, reason)
        said = _("Reported to this server's moderators. You'll get a direct message with what they decide.")
        await interaction.response.send_message(view=notice(said), ephemeral=True)

    @client.tree.context_menu(name="Report")
    @app_commands.guild_only()
    @shows_errors
    async def report(interaction: discord.Interaction[Client], message: discord.Message) -> None:
        found = await image_lookup.in_message(app, interaction, message)
        if found.job is None:
            raise BadInput(NOT_OURS)
        await ask_why(interaction, found.job)

    async def tell(report: Report) -> None:
        guild = client.get_guild(report.guild_id)
        speak(client.locales.get(report.reporter_id))
        said = _(OUTCOMES[report.state], server=f"**{shown(guild.name, 100)}**" if guild else _("a server"))
        try:
            user = await client.fetch_user(report.reporter_id)
            await user.send(view=notice(said), allowed_mentions=NOBODY)
        except discord.HTTPException as error:
            log.info("how a report ended could not be told: %s", error)

    app.reports.tell = tell
