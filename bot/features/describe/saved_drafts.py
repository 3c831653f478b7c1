"""Drafts that a message offers to paint, kept by number, so that its buttons outlive the process. Knows no Discord.

The daily upkeep drops old ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bot.errors import NotFound
from bot.orders.actor import Actor
from bot.orders.visibility import Viewer, may_see
from bot.prompt import draft_json
from bot.prompt.parser import Draft
from bot.store.key_value_store import KeyValues
from bot.store.key_values import OFFER


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What was offered, to whom and where; whoever may see the picture behind it may take it.

    `private`: only `user_id` may take it, and sees what comes of it.
    """

    user_id: int
    guild_id: int
    channel_id: int
    private: bool
    aged: bool
    drafts: tuple[Draft, ...]
    unpaid: bool = False

    @classmethod
    def to(cls, actor: Actor, drafts: Iterable[Draft], *, private: bool = False) -> Offer:
        """Offer drafts to somebody where they are."""
        return cls(
            user_id=actor.user_id,
            guild_id=actor.guild_id,
            channel_id=actor.channel_id,
            private=private,
            aged=actor.nsfw,
            drafts=tuple(drafts),
        )


async def keep(key_values: KeyValues, number: int, offer: Offer) -> None:
    """Keep an offer under the number of the interaction that made it."""
    drafts = [draft_json.to_json(draft) for draft in offer.drafts]
    value = [offer.user_id, offer.guild_id, offer.private, drafts, offer.channel_id, offer.aged]
    await key_values.remember(f"{OFFER}{number}", json.dumps(value))


async def find(key_values: KeyValues, number: int, viewer: Viewer) -> Offer:
    """The offer, if this person may take it here. Raises: NotFound."""
    kept = await key_values.recall(f"{OFFER}{number}")
    offer = _offer(json.loads(kept)) if kept else None
    if offer is None or not may_see(viewer, offer):
        raise NotFound("This is older than a month, or not yours. Look at the picture again to get fresh buttons.")
    return offer


def _offer(value: list[Any]) -> Offer:
    user_id, guild_id, private, drafts, channel_id, aged = [*value, 0, False][:6]  # older ones end with the drafts
    return Offer(
        user_id=user_id,
        guild_id=guild_id,
        channel_id=channel_id,
        private=private,
        aged=aged,
        drafts=tuple(map(draft_json.from_json, drafts)),
    )
