"""Discord's monetisation: entitlements become purchases, and packs are consumed once they are credited.

Credited first, consumed then: what dies in between is heard of again at the next start, and counts once.
"""

from __future__ import annotations

import logging
from datetime import datetime

import discord

from bot.features.credits.purchases import Purchase, Shop

log = logging.getLogger(__name__)


class Purchases:
    """Hears of entitlements; does nothing while nothing is sold."""

    def __init__(self, client: discord.Client, shop: Shop) -> None:
        self._client, self._shop = client, shop

    async def created(self, entitlement: discord.Entitlement) -> None:
        """Somebody bought something, or a subscription changed."""
        if not self._shop.open:
            return
        if entitlement.deleted:
            await self._shop.ended(entitlement.id)
        elif await self._shop.bought(_purchase(entitlement)) and not entitlement.consumed:
            await _consume(entitlement)

    async def deleted(self, entitlement: discord.Entitlement) -> None:
        """Taken back by Discord."""
        if self._shop.open:
            await self._shop.ended(entitlement.id)

    async def catch_up(self) -> None:
        """Count what was bought, and forget what ended, while nobody listened."""
        if not self._shop.open:
            return
        try:
            known = [each async for each in self._client.entitlements(limit=None, exclude_ended=True)]
        except discord.HTTPException as error:
            log.warning("Discord does not say what was bought; it is asked again at the next start: %s", error)
            return
        await self._shop.compare([_purchase(each) for each in known])
        for entitlement in known:
            await self.created(entitlement)


async def _consume(entitlement: discord.Entitlement) -> None:
    try:
        await entitlement.consume()
    except discord.HTTPException as error:  # credited it is; the next start tries again
        log.warning("the entitlement %d could not be consumed: %s", entitlement.id, error)


def _purchase(entitlement: discord.Entitlement) -> Purchase:
    return Purchase(
        id=entitlement.id,
        sku_id=entitlement.sku_id,
        user_id=entitlement.user_id or 0,
        guild_id=entitlement.guild_id or 0,
        ends_at_ms=_ms(entitlement.ends_at),
    )


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)
