"""Who may see a picture, and where: the one rule of every number, link, button, form and page. Knows no Discord.

Bans come before it: nobody who is banned gets as far as a picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bot.errors import NotFound, Refused
from bot.languages.speech import N_
from bot.orders.actor import Actor

UNPAID = N_("These images couldn't be delivered, so they aren't paid for yet. Their owner gets them with /show.")


class Picture(Protocol):
    """What was asked for by somebody, somewhere: a job, with its words and its pictures."""

    @property
    def user_id(self) -> int: ...

    @property
    def guild_id(self) -> int: ...

    @property
    def channel_id(self) -> int: ...

    @property
    def private(self) -> bool: ...

    @property
    def aged(self) -> bool: ...

    @property
    def unpaid(self) -> bool:
        """Whether it is not paid for, because it could not be delivered."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Somebody at the place where a picture would be shown.

    Attributes:
        reads: whether Discord lets them read a channel of this server (by its id); False where that isn't known.
    """

    actor: Actor
    reads: Callable[[int], bool]


def may_know(viewer: Viewer, picture: Picture) -> bool:
    """Whether a picture exists for somebody: of this server, not private, and in a channel that they can read.

    One's own always does, in its server; direct messages are for their person alone.
    """
    actor = viewer.actor
    if picture.guild_id != actor.guild_id:
        return False
    if picture.user_id == actor.user_id:
        return True
    secret = picture.private or not picture.guild_id
    return not secret and (picture.channel_id == actor.channel_id or viewer.reads(picture.channel_id))


def may_read(viewer: Viewer, picture: Picture) -> bool:
    """Whether its words may be shown to somebody, here: what was asked for among adults only there."""
    return may_know(viewer, picture) and (viewer.actor.nsfw or not picture.aged)


def may_see(viewer: Viewer, picture: Picture) -> bool:
    """Whether a picture may be shown to somebody, here."""
    return may_read(viewer, picture) and not picture.unpaid


def check_may_know(viewer: Viewer, picture: Picture) -> None:
    """Raises: NotFound."""
    if not may_know(viewer, picture):
        raise NotFound("There's no such image here.")


def check_may_see(viewer: Viewer, picture: Picture) -> None:
    """Raises: NotFound, Refused."""
    check_may_get(viewer, picture)
    if not may_see(viewer, picture):
        raise Refused(UNPAID)


def check_may_get(viewer: Viewer, picture: Picture) -> None:
    """As `check_may_see`, for whoever pays for it now if it isn't paid for yet. Raises: NotFound, Refused."""
    check_may_know(viewer, picture)
    if picture.aged and not viewer.actor.nsfw:
        raise Refused("This was made in an age-restricted channel. It can only be shown in one.")
    if picture.unpaid and picture.user_id != viewer.actor.user_id:
        raise Refused(UNPAID)
