"""/admin: what those who run a server may see and change. One module a topic; each adds its subcommands to the group.

A topic offers `install(client, group)`. Its commands are written `@group.command()` above `@guarded`, for Discord's
own permissions of commands can be changed by a server and are checked again.
"""

from __future__ import annotations

from typing import Protocol

import discord
from discord import app_commands

from bot.features.admin import panel
from bot.features.audit import admin_commands as audit_admin
from bot.features.credits import admin_commands as credits_admin
from bot.features.credits.names import LoadedNames
from bot.features.moderation import admin_commands as moderation_admin
from bot.features.stats import admin_commands as stats_admin
from bot.kit.client import Client


class Topic(Protocol):
    """A module of this package."""

    def install(self, client: Client, group: app_commands.Group) -> None: ...


TOPICS: tuple[Topic, ...] = (panel, moderation_admin, audit_admin, stats_admin)


def install(client: Client) -> None:
    """Add the group with every topic's subcommands to the client."""
    group = app_commands.Group(
        name="admin",
        description="For those who run this server: who may do what.",
        guild_only=True,
        default_permissions=discord.Permissions(manage_guild=True),
    )
    for topic in TOPICS:
        topic.install(client, group)
    studio = client.studio
    names = LoadedNames(studio.backend.models)
    credits_admin.install(client, group, credits=studio.credits, quotas=studio.quotas, names=names, clock=studio.clock)
    if group.commands:  # Discord knows no empty group
        client.tree.add_command(group)
