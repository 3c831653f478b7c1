"""What handlers ask of an interaction: who acts, what may be shown here, and answering in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import discord

from bot.errors import BadInput, MissingPermission
from bot.jobs.records import Job, StoredImage
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import N_, _, later, speak
from bot.orders.actor import Actor
from bot.orders.visibility import Viewer, check_may_get, check_may_know, check_may_see
from bot.store.clock import Clock

if TYPE_CHECKING:
    from bot.kit.client import Interaction

NEEDED = {
    "view_channel": N_("View Channel"),
    "send_messages": N_("Send Messages"),
    "attach_files": N_("Attach Files"),
}
DOUBLE_CLICK_MS = 2000
SHARED = "shared servers"  # among an interaction's extras, in direct messages: an `Actor` for each
PUBLIC = "public"  # likewise: whether everyone sees the answer that was promised
MODERATOR_ROLE = "moderator role"  # likewise, in a server: the id of its moderators' role, or None
AGE_RESTRICTED = (discord.TextChannel, discord.VoiceChannel, discord.StageChannel, discord.Thread)


def actor_of(interaction: Interaction) -> Actor:
    """Return who acts, and where, as services know it."""
    user, channel = interaction.user, interaction.channel
    inside = interaction.guild_id is not None  # not so where one brought Easel along: that server's roles say nothing
    roles = user.roles if inside and isinstance(user, discord.Member) else []
    return Actor(
        user_id=user.id,
        guild_id=interaction.guild_id or 0,
        channel_id=interaction.channel_id or 0,
        role_ids=frozenset(role.id for role in roles),
        is_admin=inside and interaction.permissions.manage_guild,
        is_operator=interaction.client.is_operator(user.id),
        is_moderator=inside and has_moderator_role(interaction, user),
        nsfw=inside and is_age_restricted(channel),
        parent_id=channel.parent_id if inside and isinstance(channel, discord.Thread) else 0,
        shared=interaction.extras.get(SHARED, ()),
    )


def is_age_restricted(channel: object) -> bool:
    """Return whether Discord lets only adults into a channel."""
    return isinstance(channel, AGE_RESTRICTED) and channel.is_nsfw()


def has_moderator_role(interaction: Interaction, user: discord.abc.Snowflake) -> bool:
    """Return whether somebody has the role that this server gave its moderators."""
    role_id = interaction.extras.get(MODERATOR_ROLE)
    return role_id is not None and isinstance(user, discord.Member) and any(role.id == role_id for role in user.roles)


def may_remove(interaction: Interaction) -> bool:
    """Return whether this member may remove other people's pictures here: as a moderator, or as they may on Discord."""
    inside = interaction.guild_id is not None
    return inside and (actor_of(interaction).may_moderate or interaction.permissions.manage_messages)


def public_locale(guild: discord.Guild | None, asker: discord.Locale) -> discord.Locale:
    """Return what is spoken where everyone reads along: what the server chose, as community servers do, else what
    who asked speaks."""
    return guild.preferred_locale if guild is not None and "COMMUNITY" in guild.features else asker


def server_locale(guild: discord.Guild | None) -> discord.Locale:
    """Return what is spoken in a server where nobody asked for what is said."""
    return public_locale(guild, discord.Locale.american_english)


async def acknowledge(interaction: Interaction, *, private: bool) -> None:
    """Answer within Discord's 3 seconds, whatever comes. What is said from now on is for those who see the answer."""
    speak(interaction.locale if private else public_locale(interaction.guild, interaction.locale))
    if not interaction.response.is_done():
        response = await interaction.response.defer(thinking=True, ephemeral=private)
        interaction.extras[PUBLIC] = not private
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
        wanted = later(permission_names, missing)
        raise MissingPermission(
            "I can't post images here. Ask an admin to give Easel {wanted} in this channel.", wanted=wanted
        )


def permission_names(labels: Sequence[str]) -> str:
    """What Discord calls permissions, as a list in a sentence."""
    return _(" and ").join(f"**{_(label)}**" for label in labels)


def viewer_of(interaction: Interaction) -> Viewer:
    """Return who would see a picture, and where, as the rule of visibility knows it."""
    return Viewer(actor=actor_of(interaction), reads=reader(interaction.guild, interaction.user))


def reader(guild: discord.Guild | None, user: discord.abc.User) -> Callable[[int], bool]:
    """Return what tells whether somebody may read a channel of a server, by its id."""

    def reads(channel_id: int) -> bool:
        channel = guild.get_channel_or_thread(channel_id) if guild else None
        return channel is not None and isinstance(user, discord.Member) and can_read(user, channel)

    return reads


def can_read(member: discord.Member, channel: discord.abc.GuildChannel | discord.Thread) -> bool:
    """Return whether a member may read a channel, as far as Discord's cache tells: not who is in a private thread."""
    try:
        may = channel.permissions_for(member)
    except discord.ClientException:  # a thread whose channel isn't known
        return False
    if isinstance(channel, discord.Thread) and channel.is_private() and not may.manage_threads:
        return channel.owner_id == member.id
    return may.view_channel and may.read_message_history


def role_reads(role: discord.Role, channel: discord.abc.GuildChannel | discord.Thread) -> bool:
    """Return whether a role's members may read a channel by this role alone."""
    if isinstance(channel, discord.Thread):
        return not channel.is_private() and channel.parent is not None and role_reads(role, channel.parent)
    return channel.permissions_for(role).view_channel


def check_visible(interaction: Interaction, job: Job, *, shown: bool = True) -> None:
    """Ask the rule of visibility; `shown`: its words or pictures will be seen here. Raises: NotFound, Refused."""
    check = check_may_see if shown else check_may_know
    check(viewer_of(interaction), job)


def check_obtainable(interaction: Interaction, job: Job) -> None:
    """As `check_visible`, for a member who pays for it now if it isn't paid for yet. Raises: NotFound, Refused."""
    check_may_get(viewer_of(interaction), job)


def reject_double_click(interaction: Interaction, action: Action, number: int) -> None:
    """A double click is two interactions: the second within 2 s is dropped. Raises: BadInput."""
    if not interaction.client.clicks.is_first(f"{action}:{number}:{interaction.user.id}"):
        raise BadInput("You pressed that twice. The first press counts.")


async def load_job(interaction: Interaction, job_id: int, *, shown: bool = True) -> Job:
    """Return the job behind a button, if this member may see it here. Raises: as `check_visible`."""
    job = await interaction.client.find_job(job_id)
    check_visible(interaction, job, shown=shown)
    return job


async def load_image(interaction: Interaction, image_id: int, *, shown: bool = True) -> tuple[Job, StoredImage]:
    """Return the image behind a button, if this member may see it here. Raises: as `check_visible`."""
    job, image = await interaction.client.find_image(image_id)
    check_visible(interaction, job, shown=shown)
    return job, image


def is_about_own_data(interaction: discord.Interaction[Any]) -> bool:
    """Return whether this is /privacy, or a button under its question."""
    data = cast(dict[str, Any], interaction.data or {})
    button = ButtonId.parse(str(data.get("custom_id", "")))
    return data.get("name") == "privacy" or (button is not None and button.action is Action.LEAVE)


class DoubleClicks:
    """Keys of recent clicks: Discord sends two interactions, and only the first may start something.

    In memory: nobody double-clicks across a restart."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[int, int]] = {}

    def is_first(self, key: str, window_ms: int = DOUBLE_CLICK_MS) -> bool:
        """Note a click; False if the same one came within its window. `key` names image, action and member."""
        now_ms = self._clock.now_ms()
        self._windows = {name: (start, end) for name, (start, end) in self._windows.items() if start <= now_ms < end}
        if key in self._windows:
            return False
        self._windows[key] = now_ms, now_ms + window_ms
        return True
