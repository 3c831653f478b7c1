"""What buying on Discord is worth: packs of credits, counted once, and subscriptions that act as quotas.

Knows no Discord: purchases arrive as records. Off while the settings name no SKU.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.config import Settings, Sku
from bot.features.credits.service import Quotas
from bot.ledger import transfers
from bot.ledger.records import CreditChange, Quota, Subscription
from bot.store.clock import Clock
from bot.store.store import Store

log = logging.getLogger(__name__)
EVERYWHERE = 0  # the purse that counts in every server


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """An entitlement: who (0 = nobody) or which server (0 = none) bought what. `ends_at_ms`: of a subscription."""

    id: int
    sku_id: int
    user_id: int
    guild_id: int
    ends_at_ms: int | None


def plans_of(settings: Settings) -> dict[int, Quota]:
    """What each subscription allows."""
    return {number: _quota(sku) for number, sku in settings.skus.items() if sku.credits is None}


def _quota(sku: Sku) -> Quota:
    amount = sku.credits_a_day if sku.credits_a_day is not None else sku.credits_a_month
    period = None if amount is None else "day" if sku.credits_a_day is not None else "month"
    return Quota(
        allowance_mc=None if amount is None else amount * 1000,
        period=period,  # type: ignore[arg-type]  # mypy widens the two literals to str
        max_queued=sku.max_queued,
        max_running=sku.max_running,
        max_pixels=sku.max_pixels,
        max_steps=sku.max_steps,
        models=None if sku.models is None else frozenset(sku.models),
        loras=None if sku.loras is None else frozenset(sku.loras),
        weight=sku.weight,
        relax=sku.relax,
    )


class Shop:
    """Turns purchases into credits and quotas."""

    def __init__(self, store: Store, quotas: Quotas, settings: Settings, clock: Clock) -> None:
        self._store, self._quotas, self._clock = store, quotas, clock
        self._packs = {number: sku.credits for number, sku in settings.skus.items() if sku.credits is not None}
        self._plans: Mapping[int, Quota] = plans_of(settings)

    @property
    def open(self) -> bool:
        """Whether anything is sold."""
        return bool(self._packs or self._plans)

    async def bought(self, purchase: Purchase) -> bool:
        """Count a purchase; hearing of it again changes nothing. True when it is to be consumed at Discord."""
        if purchase.sku_id in self._plans:
            await self._quotas.subscribe(_subscription(purchase))
        if purchase.sku_id not in self._packs:
            return False
        if not purchase.user_id:
            log.warning("the entitlement %d is nobody's: it was not credited", purchase.id)
            return False
        amount_mc = round(self._packs[purchase.sku_id] * 1000)
        change = CreditChange(
            user_id=purchase.user_id,
            guild_id=EVERYWHERE,
            amount_mc=amount_mc,
            reason="bought on Discord",
            key=f"entitlement:{purchase.id}",
            now_ms=self._clock.now_ms(),
        )
        await self._store.write(transfers.give, change)
        return True

    async def ended(self, entitlement_id: int) -> None:
        """A subscription was taken back. Credits that were bought stay: they may be spent."""
        await self._quotas.unsubscribe(entitlement_id)

    async def compare(self, running: Sequence[Purchase]) -> None:
        """Note which subscriptions run, whatever happened while nobody listened."""
        plans = [_subscription(each) for each in running if each.sku_id in self._plans]
        await self._quotas.replace_subscriptions(plans)


def _subscription(purchase: Purchase) -> Subscription:
    return Subscription(
        id=purchase.id,
        sku_id=purchase.sku_id,
        user_id=purchase.user_id,
        guild_id=purchase.guild_id,
        ends_at_ms=purchase.ends_at_ms,
    )
