"""The pages of the API, where it is on; and who a key's holder is at this moment, whose roles say what they may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import discord
from aiohttp import web

from bot.config import Settings
from bot.errors import Busy, Refused
from bot.features.api.page import ImagesApi
from bot.features.api.service import Painter
from bot.features.api.store import KeyHolder
from bot.features.generate.submission import Submission
from bot.features.moderation.service import Moderation
from bot.jobs.files import ImageFiles
from bot.jobs.service import Jobs
from bot.kit.client import Client
from bot.kit.interactions import is_age_restricted
from bot.orders.actor import Actor
from bot.orders.model_list import ModelList
from bot.store.store import Store

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LEFT = "This key's owner isn't a member of its server any more."
AWAY = "Discord can't be asked about this key's owner right now. Try again."


class Services(Protocol):
    """What this module works with."""

    client: Client
    files: ImageFiles
    jobs: Jobs
    models: ModelList
    moderation: Moderation
    settings: Settings
    store: Store
    submission: Submission


def pages(app: Services) -> dict[str, Handler]:
    """What the web server is to have, by method and path; nothing where the API is off."""
    if not app.settings.api:
        return {}
    orders, actor_of = app.submission.orders, partial(holder_as_actor, app.client)
    return ImagesApi(Painter(app.store, orders, app.jobs, app.files, app.moderation, app.models, actor_of)).pages()


async def holder_as_actor(client: Client, holder: KeyHolder) -> Actor:
    """The holder as services know who asks. Raises: Refused once they have left; Busy while Discord doesn't answer."""
    guild = client.get_guild(holder.guild_id)
    if guild is None:
        raise Refused(LEFT)
    try:
        member = await guild.fetch_member(holder.user_id)
    except discord.NotFound:
        raise Refused(LEFT) from None
    except (discord.HTTPException, OSError):
        raise Busy(AWAY) from None
    channel = guild.get_channel_or_thread(holder.channel_id) if holder.channel_id else None
    return Actor(
        user_id=member.id,
        guild_id=guild.id,
        channel_id=holder.channel_id,
        role_ids=frozenset(role.id for role in member.roles),
        is_admin=member.guild_permissions.manage_guild,
        is_operator=client.is_operator(member.id),
        nsfw=is_age_restricted(channel),
        parent_id=(channel.parent_id or 0) if isinstance(channel, discord.Thread) else 0,
    )
