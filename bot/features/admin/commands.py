"""/admin: what those who run a server may see and change. One module a topic; each adds its subcommands to the group.

A topic offers `install(client, group, app)`. Its commands are written `@group.command()` above `@guarded`: a server can
change Discord's own permissions of commands, so they are checked again.
"""

from __future__ import annotations

from typing import Protocol

import discord
from discord import app_commands

from bot.features.admin import panel
from bot.features.audit import admin_commands as audit_admin
from bot.features.audit.audit_channel import AuditChannel
from bot.features.audit.service import Audit
from bot.features.credits import admin_commands as credits_admin
from bot.features.credits.names import LoadedNames
from bot.features.credits.service import Credits, Quotas
from bot.features.jobs import admin_commands as jobs_admin
from bot.features.jobs.service import ModeratedJobs
from bot.features.moderation import admin_commands as moderation_admin
from bot.features.moderation.service import Moderation
from bot.features.settings import admin_commands as settings_admin
from bot.features.settings.service import PreferenceService
from bot.features.stats import admin_commands as stats_admin
from bot.jobs.service import Jobs
from bot.kit.client import Client
from bot.store.clock import Clock
from bot.store.key_value_store import KeyValues
from bot.store.store import Store
from engine.backend import Backend


class Services(Protocol):
    """What this module works with."""

    audit: Audit
    audit_channel: AuditChannel
    backend: Backend
    clock: Clock
    credits: Credits
    jobs: Jobs
    moderated_jobs: ModeratedJobs
    moderation: Moderation
    preferences: PreferenceService
    quotas: Quotas
    store: Store
    key_values: KeyValues


def install(client: Client, app: Services) -> None:
    """Add the group with every topic's subcommands to the client."""
    group = app_commands.Group(
        name="admin",
        description="For those who run this server: who may do what.",
        guild_only=True,
        default_permissions=discord.Permissions(manage_guild=True),
    )
    panel.install(client, group, app)
    moderation_admin.install(client, group, app)
    jobs_admin.install(client, group, app)
    audit_admin.install(client, group, app)
    stats_admin.install(client, group, app)
    settings_admin.install(group, app)
    names = LoadedNames(app.backend.models)
    credits_admin.install(client, group, credits=app.credits, quotas=app.quotas, names=names, clock=app.clock)
    if group.commands:  # Discord knows no empty group
        client.tree.add_command(group)
