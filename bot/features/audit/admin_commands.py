"""/admin audit: searching and exporting the audit log."""

from __future__ import annotations

import io
import re
from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Range

from bot.errors import BadInput, NotYours
from bot.features.audit.service import Audit
from bot.features.audit.store import AuditQuery
from bot.features.audit.views import audit_line
from bot.kit.admin_panel import AdminArea
from bot.kit.checks import check_admin, guarded
from bot.kit.client import Client, Interaction
from bot.kit.components import listing
from bot.languages.speech import _

PAGE = 15  # audit entries of one answer
MENTION = re.compile(r"<(@!?|@&|#)([0-9]{1,20})>")
KINDS = {"@": "user", "@!": "user", "@&": "role", "#": "channel"}


class Services(Protocol):
    """What this module works with."""

    audit: Audit


def install(area: AdminArea, app: Services) -> None:
    """Add the subcommand to /admin."""
    _audit(app, area.group)


def _audit(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(
        actor="Who did it",
        action="What was done: a topic such as ban, or an action such as ban.set",
        target="To whom or what: a mention, or for example job:12 or word:peg",
        text="Text anywhere in the entry",
        before="Only entries before this number",
        export="Get a CSV file",
        everywhere="In every server (only for those who run this bot)",
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
        """Search what was done here and by whom, or get it as a file."""
        by = check_admin(interaction)
        if everywhere and not by.is_operator:
            raise NotYours("Only the people who run this bot can see the log of every server.")
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
    lines = list(map(audit_line, found))
    if len(found) == PAGE:
        lines.append(_("-# For older entries, add `before:{id}` or use `export:True`.", id=found[-1].id))
    await interaction.edit_original_response(view=listing(_("Audit"), lines, _("No entries match.")))


async def _export(app: Services, interaction: Interaction, query: AuditQuery) -> None:
    data = await app.audit.export(query)
    await app.audit.record(query.guild_id or 0, interaction.user.id, "audit.export")
    limit = interaction.filesize_limit
    if len(data) > limit:
        raise BadInput("The file would be larger than {limit} MiB. Narrow the search.", limit=limit // 2**20)
    file = discord.File(io.BytesIO(data), filename="easel-audit.csv")
    await interaction.edit_original_response(content=_("The matching entries, newest first."), attachments=[file])
