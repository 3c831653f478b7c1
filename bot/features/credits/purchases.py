"""What purchases on Discord are worth: packs of credits, counted once, and subscriptions that act as quotas.

Knows no Discord: purchases arrive as records. Off while the settings name no SKU.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.config import Settings
from bot.errors import BadInput, UserError
from bot.features.credits.records import Subscription
from bot.features.credits.service import Quotas
from bot.languages.speech import N_
from bot.ledger import transfers
from bot.ledger.amounts import credits_mc
from bot.ledger.limits import MEMBER_LIMITS, Quota
from bot.ledger.records import CreditChange
from bot.store.clock import Clock
from bot.store.store import Store

log = logging.getLogger(__name__)
BOUGHT = N_("bought on Discord")
EVERYWHERE = 0  # the purse that counts in every server


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """An entitlement: who (0 = nobody) or which server (0 = none) bought what. `ends_at_ms`: of a subscription."""

    id: int
    sku_id: int
    user_id: int
    guild_id: int
    ends_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What is sold, by SKU id: packs of millicredits, and subscriptions that act as quotas."""

    packs: Mapping[int, int]
    plans: Mapping[int, Quota]


def offers_of(settings: Settings) -> Offers:
    """What the setting `skus` says. Raises: UserError naming the SKU."""
    packs: dict[int, int] = {}
    plans: dict[int, Quota] = {}
    for number, fields in settings.skus.items():
        try:
            _read(number, fields, packs, plans)
        except BadInput as error:
            raise UserError(
                "The setting EASEL_SKUS can't be used: SKU {number}: {error}", number=number, error=error
            ) from None
    return Offers(packs=packs, plans=plans)


def _read(number: int, fields: Mapping[str, Any], packs: dict[int, int], plans: dict[int, Quota]) -> None:
    """Raises: BadInput."""
    known = {name for row in MEMBER_LIMITS.values() for name in row.options} | {"credits"}
    if unknown := sorted(fields.keys() - known):
        raise BadInput(
            "{unknown} isn't a field of a SKU. Use some of {known}.",
            unknown=", ".join(unknown),
            known=", ".join(sorted(known)),
        )
    if fields.get("credits") is not None:
        packs[number] = credits_mc(f"{fields['credits']}", low=0.001)
    else:
        plans[number] = Quota.from_options(fields, None)


class Shop:
    """Turns purchases into credits and quotas."""

    def __init__(self, store: Store, quotas: Quotas, offers: Offers, clock: Clock) -> None:
        self._store, self._quotas, self._clock = store, quotas, clock
        self._packs, self._plans = offers.packs, offers.plans

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
        change = CreditChange(
            user_id=purchase.user_id,
            guild_id=EVERYWHERE,
            amount_mc=self._packs[purchase.sku_id],
            reason=BOUGHT,
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
