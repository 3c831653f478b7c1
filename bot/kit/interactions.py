"""What handlers ask of an interaction: who acts, what may be shown here, and answering in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import discord

from bot.errors import BadInput, MissingPermission, NotFound, Refused
from bot.jobs.records import Job, StoredImage
from bot.kit.custom_ids import Action, ButtonId
from bot.orders.actor import Actor

if TYPE_CHECKING:
    from bot.kit.client import Interaction

NEEDED = {
    "view_channel": "View Channel",
    "send_messages": "Send Messages",
    "attach_files": "Attach Files",
}
AGE_RESTRICTED = (discord.TextChannel, discord.VoiceChannel, discord.StageChannel, discord.Thread)


def actor_of(interaction: Interaction) -> Actor:
    """Return who acts, and where, as services know it."""
    user, channel = interaction.user, interaction.channel
    roles = user.roles if isinstance(user, discord.Member) else []
    inside = interaction.guild_id is not None
    return Actor(
        user_id=user.id,
        guild_id=interaction.guild_id or 0,
        channel_id=interaction.channel_id or 0,
        role_ids=frozenset(role.id for role in roles),
        is_admin=inside and interaction.permissions.manage_guild,
        is_operator=interaction.client.is_operator(user.id),
        nsfw=isinstance(channel, AGE_RESTRICTED) and channel.is_nsfw(),
        parent_id=channel.parent_id if isinstance(channel, discord.Thread) else 0,
    )


def is_moderator(interaction: Interaction) -> bool:
    """Return whether this member may remove other people's messages here."""
    return interaction.guild_id is not None and interaction.permissions.manage_messages


async def acknowledge(interaction: Interaction, *, private: bool) -> None:
    """Answer within Discord's 3 seconds, whatever comes."""
    if not interaction.response.is_done():
        response = await interaction.response.defer(thinking=True, ephemeral=private)
        if response is not None:
            interaction.extras["message_id"] = response.message_id
    if interaction.guild_id:
        interaction.client.upload_limits[interaction.guild_id] = interaction.filesize_limit


def check_permissions(interaction: Interaction, private: bool) -> None:
    """Find out now what would fail after painting. Raises: MissingPermission."""
    if interaction.guild_id is None or private:
        return
    may = interaction.app_permissions
    missing = [label for name, label in NEEDED.items() if not getattr(may, name)]
    if isinstance(interaction.channel, discord.Thread) and may.send_messages_in_threads:
        missing = [label for label in missing if label != "Send Messages"]
    if missing:
        wanted = " and ".join(f"**{label}**" for label in missing)
        raise MissingPermission(f"I can't post images here. Ask an admin to give Easel {wanted} in this channel.")


def check_visible(interaction: discord.Interaction[Any], job: Job) -> None:
    """An image belongs to its server; a private one, or one in direct messages, to its owner. Raises: NotFound."""
    here = (interaction.guild_id or 0) == job.guild_id
    mine = interaction.user.id == job.user_id
    secret = job.private or not job.guild_id
    if not here or (secret and not mine):
        raise NotFound("There's no such image here.")


def check_shown(interaction: Interaction, images: Sequence[StoredImage]) -> None:
    """What a safety check flagged stays in age-restricted channels. Raises: Refused."""
    if any(image.flagged for image in images) and not actor_of(interaction).nsfw:
        raise Refused("The safety check flagged this image. It can only be shown in age-restricted channels.")


def reject_double_click(interaction: Interaction, action: Action, number: int) -> None:
    """A double click is two interactions: the second within 2 s is dropped. Raises: BadInput."""
    if not interaction.client.clicks.is_first(f"{action}:{number}:{interaction.user.id}"):
        raise BadInput("You pressed that twice. The first press counts.")


async def load_job(interaction: Interaction, job_id: int) -> Job:
    """Return the job behind a button, if this member may see it here. Raises: NotFound."""
    job = await interaction.client.find_job(job_id)
    check_visible(interaction, job)
    return job


async def load_image(interaction: Interaction, image_id: int) -> tuple[Job, StoredImage]:
    """Return the image behind a button, if this member may see it here. Raises: NotFound, Refused."""
    job, image = await interaction.client.find_image(image_id)
    check_visible(interaction, job)
    check_shown(interaction, [image])
    return job, image


def is_about_own_data(interaction: discord.Interaction[Any]) -> bool:
    """Return whether this is /privacy, or a button under its question."""
    data = cast(dict[str, Any], interaction.data or {})
    button = ButtonId.parse(str(data.get("custom_id", "")))
    return data.get("name") == "privacy" or (button is not None and button.action is Action.LEAVE)
