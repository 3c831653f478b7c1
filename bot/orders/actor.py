"""Who asks, and where: what quotas, moderation and settings decide by. Knows no Discord."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Somebody at the moment of a command, press or form; ids are Discord's.

    Attributes:
        guild_id: 0 in direct messages.
        role_ids: includes the everyone role, whose id is the server's.
        is_admin: may manage this server. is_operator: runs this bot (the setting `operators`), in every server.
        is_moderator: has the role that this server gave its moderators.
        nsfw: the channel is age-restricted.
        parent_id: of a thread, the channel it is in; else 0.
        shared: in direct messages, who they are in each server whose rules hold there too.
    """

    user_id: int
    guild_id: int
    channel_id: int
    role_ids: frozenset[int] = frozenset()
    is_admin: bool = False
    is_operator: bool = False
    is_moderator: bool = False
    nsfw: bool = False
    parent_id: int = 0
    shared: tuple[Actor, ...] = ()

    @property
    def places(self) -> tuple[int, ...]:
        """The servers whose rules hold here; 0 stands for direct messages themselves."""
        return self.guild_id, *(each.guild_id for each in self.shared)

    @property
    def may_administer(self) -> bool:
        """Whether `/admin` is for them here."""
        return self.is_operator or (self.is_admin and self.guild_id != 0)

    @property
    def may_moderate(self) -> bool:
        """Whether reports, appeals, bans, words and other members' jobs are for them here."""
        return self.may_administer or (self.is_moderator and self.guild_id != 0)
