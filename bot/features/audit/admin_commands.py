"""/admin jobs and audit: what is going on, and what was done."""

from __future__ import annotations

import io
import re
from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Range

from bot.errors import BadInput, NotFound, NotYours
from bot.features.audit.audit_channel import AuditChannel
from bot.features.audit.service import Audit
from bot.features.audit.store import AuditQuery
from bot.features.moderation import views
from bot.features.moderation.service import Moderation
from bot.jobs.records import Job
from bot.jobs.service import Jobs
from bot.kit.checks import check_admin, guarded
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.custom_ids import Action
from bot.kit.interactions import actor_of
from bot.orders.actor import Actor

MAX_JOBS = 10  # shown: each takes three of a message's 40 components
PAGE = 15  # audit entries of one answer
MENTION = re.compile(r"<(@!?|@&|#)([0-9]{1,20})>")
KINDS = {"@": "user", "@!": "user", "@&": "role", "#": "channel"}


class Services(Protocol):
    """What this module works with."""

    audit: Audit
    audit_channel: AuditChannel
    jobs: Jobs
    moderation: Moderation


def install(client: Client, group: app_commands.Group, app: Services) -> None:
    """Add the subcommands to /admin, and the buttons to the client."""
    _jobs(app, group)
    _audit(app, group)

    @client.on_button(Action.STOP)
    async def stop(interaction: Interaction, job_id: int) -> None:
        by = check_admin(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        await interaction.edit_original_response(view=notice(await _cancel(app, interaction, by, job_id)))

    @client.on_button(Action.APPEAL)
    async def appeal(interaction: Interaction, appeal_id: int) -> None:
        await interaction.response.defer()
        asked = await app.moderation.appeal(actor_of(interaction), appeal_id)
        await app.audit_channel.appeal(asked)
        view = notice("Your appeal was sent to the admins of this server. You will get a direct message.")
        await interaction.edit_original_response(view=view)

    @client.on_button(Action.APPROVE)
    async def approve(interaction: Interaction, appeal_id: int) -> None:
        await _decide(app, interaction, appeal_id, approve=True)

    @client.on_button(Action.DENY)
    async def deny(interaction: Interaction, appeal_id: int) -> None:
        await _decide(app, interaction, appeal_id, approve=False)


async def _decide(app: Services, interaction: Interaction, appeal_id: int, *, approve: bool) -> None:
    by = check_admin(interaction)
    decided = await app.moderation.decide(by, appeal_id, approve=approve)
    await interaction.response.edit_message(view=views.appeal(decided))
    await app.audit_channel.decided(decided)


# ------------------------------------------------------------------ jobs
def _jobs(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(
        user="Only this person's",
        cancel="The number of a job to cancel, or with a user: 0 for all of theirs",
        everywhere="Of every server; for those who run this bot",
    )
    @guarded
    async def jobs(
        interaction: discord.Interaction[Client],
        user: discord.User | None = None,
        cancel: Range[int, 0] | None = None,
        everywhere: bool = False,
    ) -> None:
        """Anybody's jobs that wait or are being painted, and a way to cancel them."""
        by = check_admin(interaction)
        if everywhere and not by.is_operator:
            raise NotYours("Only those who run this bot see the jobs of every server.")
        await interaction.response.defer(ephemeral=True, thinking=True)
        if cancel:
            text = await _cancel(app, interaction, by, cancel)
            await interaction.edit_original_response(view=notice(text))
            return
        found = await _active(app, interaction, None if everywhere else by.guild_id, user)
        if cancel == 0:
            text = await _cancel_all(app, interaction, by, user, found)
            await interaction.edit_original_response(view=notice(text))
            return
        view = views.jobs(found[:MAX_JOBS], len(found) - MAX_JOBS if len(found) > MAX_JOBS else 0)
        await interaction.edit_original_response(view=view)


async def _active(
    app: Services, interaction: Interaction, guild_id: int | None, user: discord.abc.User | None
) -> list[Job]:
    found = await app.jobs.active_in(guild_id)
    return [job for job in found if user is None or job.user_id == user.id]


async def _cancel(app: Services, interaction: Interaction, by: Actor, job_id: int) -> str:
    """Cancel anybody's job of this server (any, for an operator). Raises: NotFound, BadInput."""
    job = await app.jobs.get(job_id)
    if job.guild_id != by.guild_id and not by.is_operator:
        raise NotFound(f"There is no job {job_id} in this server.")
    if not job.active:
        raise BadInput(f"Job {job_id} has ended already.")
    ended = await app.jobs.cancel(job_id, by.user_id, admin=True)
    if ended.state != "cancelled":
        raise BadInput(f"Job {job_id} has ended already.")
    await app.audit.record(job.guild_id, by.user_id, "job.cancel", f"job:{job_id}", {"owner": job.user_id})
    return f"Cancelled job {job_id} of <@{job.user_id}>. Nothing was charged."


async def _cancel_all(
    app: Services, interaction: Interaction, by: Actor, user: discord.abc.User | None, found: list[Job]
) -> str:
    if user is None:
        raise BadInput("Say whose jobs to cancel, as the user, or give one job's number.")
    for job in found:
        await _cancel(app, interaction, by, job.id)
    return f"Cancelled {len(found)} jobs of <@{user.id}>. Nothing was charged."


# ------------------------------------------------------------------ audit
def _audit(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(
        actor="Who did it",
        action="What: a topic such as ban, or an act such as ban.set",
        target="To whom or what: a mention, or such as job:12 or word:peg",
        text="Words anywhere in the entry",
        before="Only entries before this number",
        export="As a CSV file",
        everywhere="Of every server; for those who run this bot",
    )
    @guarded
    async def audit(
        interaction: discord.Interaction[Client],
        actor: discord.User | None = None,
        action: Range[str, 0, 50] = "",
        target: Range[str, 0, 200] = "",
        text: Range[str, 0, 100] = "",
        before: Range[int, 1] | None = None,
        export: bool = False,
        everywhere: bool = False,
    ) -> None:
        """Search what was done here, by whom; or get it as a file."""
        by = check_admin(interaction)
        if everywhere and not by.is_operator:
            raise NotYours("Only those who run this bot see the log of every server.")
        query = AuditQuery(
            guild_id=None if everywhere else by.guild_id,
            actor_id=actor.id if actor else None,
            action=action.strip().lower() or None,
            target=target_of(target) or None,
            text=text.strip() or None,
            before_id=before,
        )
        await interaction.response.defer(ephemeral=True, thinking=True)
        if export:
            await _export(app, interaction, query)
        else:
            await _page(app, interaction, query)


def target_of(text: str) -> str:
    """A mention as the log writes it; all else as it is."""
    if match := MENTION.fullmatch(text.strip()):
        return f"{KINDS[match[1]]}:{match[2]}"
    return f"user:{text.strip()}" if text.strip().isdecimal() else text.strip()


async def _page(app: Services, interaction: Interaction, query: AuditQuery) -> None:
    found = await app.audit.search(query, PAGE)
    lines = list(map(views.audit_line, found))
    if len(found) == PAGE:
        lines.append(f"-# Older ones: the same with `before:{found[-1].id}`, or `export:True`.")
    await interaction.edit_original_response(view=views.listing("Audit", lines, "Nothing fits."))


async def _export(app: Services, interaction: Interaction, query: AuditQuery) -> None:
    data = await app.audit.export(query)
    await app.audit.record(query.guild_id or 0, interaction.user.id, "audit.export")
    limit = interaction.filesize_limit
    if len(data) > limit:
        raise BadInput(f"The file would have more than {limit // 2**20} MiB. Narrow the search.")
    file = discord.File(io.BytesIO(data), filename="easel-audit.csv")
    await interaction.edit_original_response(content="What fits, newest first.", attachments=[file])
