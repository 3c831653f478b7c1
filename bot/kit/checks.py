"""The checks before what admins and moderators do: a server can change Discord's own permissions of commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import discord

from bot.errors import BadInput, NotYours
from bot.kit.client import Check, Interaction
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import NEEDED, actor_of, has_moderator_role, permission_names
from bot.languages.speech import N_, later
from bot.orders.actor import Actor
from bot.store.clock import Clock, SteadyClock

P = ParamSpec("P")


def tells_time(clock: Clock) -> Check:
    """A check that refuses nothing: Discord's ids hold the time of a good clock."""

    async def witness(interaction: discord.Interaction[Any]) -> None:
        if isinstance(clock, SteadyClock):
            clock.witness(int(interaction.created_at.timestamp() * 1000))

    return witness


def check_admin(interaction: Interaction) -> Actor:
    """Who asks, if they may administer this server. For buttons and forms too. Raises: NotYours."""
    actor = actor_of(interaction)
    if not actor.may_administer:
        raise NotYours("You need the **Manage Server** permission for this. Nothing was changed.")
    return actor


def check_moderator(interaction: Interaction) -> Actor:
    """Who asks, if they may moderate this server. For buttons and forms too. Raises: NotYours."""
    actor = actor_of(interaction)
    if not actor.may_moderate:
        raise NotYours(
            "You need the **Manage Server** permission or this server's moderator role for this. Nothing was changed."
        )
    return actor


def check_operator(interaction: Interaction) -> Actor:
    """Who asks, if they run this bot. Raises: NotYours."""
    actor = check_admin(interaction)
    if not actor.is_operator:
        raise NotYours("Only the people who run this bot can do this. Its setting EASEL_OPERATORS lists them.")
    return actor


def check_bannable(interaction: Interaction, user: discord.abc.Snowflake) -> None:
    """Admins are banned by operators only, moderators by admins. Raises: NotYours."""
    by = actor_of(interaction)
    if isinstance(user, discord.Member) and user.guild_permissions.manage_guild and not by.is_operator:
        raise NotYours(
            "People with **Manage Server** can't be banned here. Only the people who run this bot can ban them."
        )
    if has_moderator_role(interaction, user) and not by.may_administer:
        raise NotYours("Moderators can't ban each other. Ask someone with **Manage Server**.")


def check_moderator_role(interaction: Interaction, *role_ids: int) -> None:
    """Not everyone moderates. Raises: BadInput."""
    if interaction.guild_id in role_ids:
        raise BadInput("Not everyone can be a moderator. Choose another role. Nothing was changed.")


def check_postable(*channels: discord.abc.GuildChannel | None) -> None:
    """Find out now what would fail once there's something to post. Raises: BadInput, naming the first such channel."""
    for channel in filter(None, channels):
        may = channel.permissions_for(channel.guild.me)
        if isinstance(channel, discord.ForumChannel):
            may.send_messages &= may.send_messages_in_threads
        missing = [label for name, label in NEEDED.items() if not getattr(may, name)]
        if missing:
            wanted = later(permission_names, missing)
            told = N_("I can't post in <#{channel}>. Give Easel {wanted} there. Nothing was changed.")
            raise BadInput(told, channel=channel.id, wanted=wanted)


Command = Callable[Concatenate[discord.Interaction[Any], P], Awaitable[None]]


def guarded(command: Command[P]) -> Any:
    """A command for admins of the server and operators of the bot; refusals are answered as in `shows_errors`."""
    return _checked(command, check_admin)


def moderated(command: Command[P]) -> Any:
    """A command for moderators of the server too, like `guarded`."""
    return _checked(command, check_moderator)


def _checked(command: Command[P], check: Callable[[Interaction], Actor]) -> Any:
    @wraps(command)
    async def checked(interaction: discord.Interaction[Any], *args: P.args, **options: P.kwargs) -> None:
        check(interaction)
        await command(interaction, *args, **options)

    return shows_errors(checked)  # type: ignore[arg-type]  # what `wraps` gives hides the ParamSpec
