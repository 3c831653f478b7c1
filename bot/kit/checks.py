"""The checks before what an admin does: Discord's own command permissions can be changed by a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import discord

from bot.errors import BadInput, NotYours
from bot.kit.client import Interaction
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import NEEDED, actor_of
from bot.orders.actor import Actor

P = ParamSpec("P")


def check_admin(interaction: Interaction) -> Actor:
    """Who asks, if they may administer this server. For buttons and forms too. Raises: NotYours."""
    actor = actor_of(interaction)
    if not actor.may_administer:
        raise NotYours("You need the **Manage Server** permission for this. Nothing was changed.")
    return actor


def check_operator(interaction: Interaction) -> Actor:
    """Who asks, if they run this bot. Raises: NotYours."""
    actor = check_admin(interaction)
    if not actor.is_operator:
        raise NotYours("Only the people who run this bot can do this. Its setting EASEL_OPERATORS lists them.")
    return actor


def check_not_admin(user: discord.abc.Snowflake, by: Actor) -> None:
    """Raises: NotYours."""
    if isinstance(user, discord.Member) and user.guild_permissions.manage_guild and not by.is_operator:
        raise NotYours(
            "People with **Manage Server** can't be banned here. Only the people who run this bot can ban them."
        )


def check_postable(*channels: discord.abc.GuildChannel | None) -> None:
    """Find out now what would fail once there's something to post. Raises: BadInput, naming the first such channel."""
    for channel in filter(None, channels):
        may = channel.permissions_for(channel.guild.me)
        if isinstance(channel, discord.ForumChannel):
            may.send_messages &= may.send_messages_in_threads
        missing = [f"**{label}**" for name, label in NEEDED.items() if not getattr(may, name)]
        if missing:
            wanted = " and ".join(missing)
            raise BadInput(f"I can't post in <#{channel.id}>. Give Easel {wanted} there. Nothing was changed.")


def guarded(command: Callable[Concatenate[discord.Interaction[Any], P], Awaitable[None]]) -> Any:
    """A command for admins of the server and operators of the bot; refusals are answered as in `shows_errors`."""

    @wraps(command)
    async def checked(interaction: discord.Interaction[Any], *args: P.args, **options: P.kwargs) -> None:
        check_admin(interaction)
        await command(interaction, *args, **options)

    return shows_errors(checked)  # type: ignore[arg-type]  # what `wraps` gives hides the ParamSpec
