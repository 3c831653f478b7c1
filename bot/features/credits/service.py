"""Everybody's terms, changed live: a server's quotas by role and person, and what Discord's subscriptions add.

Kept in memory once read, for every command asks; one process owns the database, and changes go through here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bot.config import Settings
from bot.features.audit.service import Audit
from bot.features.credits import acts
from bot.features.credits import store as quota_store
from bot.features.credits.records import QuotaChange, ServerQuotas, Subscription
from bot.languages.speech import N_
from bot.ledger import accounts
from bot.ledger.limits import (
    Budget,
    Quota,
    Terms,
    ceilings,
    default_quota,
    default_terms,
    most_generous,
    strictest,
    terms_of,
)
from bot.ledger.records import Balance, CreditChange, Entry
from bot.orders.actor import Actor
from bot.store.clock import Clock
from bot.store.store import Store


class Credits:
    """What members have, and the acts that move it by hand."""

    def __init__(self, store: Store, audit: Audit, settings: Settings, clock: Clock) -> None:
        self._store, self._audit, self._clock = store, audit, clock
        self._plain = default_terms(settings)

    async def balance(self, user_id: int, guild_id: int, terms: Terms | None = None) -> Balance:
        """A member's credits on their terms (None: the settings' own); an allowance that is due counts as granted."""
        terms, now_ms = terms or self._plain, self._clock.now_ms()
        purse = terms.paid_in(guild_id)
        return await self._store.read(accounts.balance, user_id, purse, terms.allowance_mc, terms.period, now_ms)

    async def entries(self, user_id: int, guild_id: int, limit: int = 20) -> list[Entry]:
        """The newest lines of a member's account."""
        return await self._store.read(accounts.entries, user_id, guild_id, limit)

    async def grant(self, by: Actor, user_id: int, amount_mc: int, note: str, key: str) -> None:
        """Give credits that don't expire in the admin's server; the same `key` counts once.

        `note` is for the audit log. `key` is the interaction's id.
        """
        change = self._change(by, user_id, amount_mc, N_("granted by an admin"), key)
        await self._audit.perform(acts.grant, by, by.guild_id, change, note)

    async def take(self, by: Actor, user_id: int, amount_mc: int, note: str, key: str) -> None:
        """Take credits that don't expire back; the same `key` counts once. Raises: BadInput."""
        change = self._change(by, user_id, amount_mc, N_("taken by an admin"), key)
        await self._audit.perform(acts.take, by, by.guild_id, change, note)

    async def gift(self, by: Actor, user_id: int, amount_mc: int, cap_mc: int, key: str) -> None:
        """Move a member's credits to another, at most `cap_mc` a day. Raises: BadInput, NotEnoughCredits."""
        change = self._change(by, user_id, amount_mc, "gift", key)
        await self._audit.perform(acts.gift, by, by.guild_id, change, cap_mc)

    def _change(self, by: Actor, user_id: int, amount_mc: int, reason: str, key: str) -> CreditChange:
        return CreditChange(
            user_id=user_id,
            guild_id=by.guild_id,
            amount_mc=amount_mc,
            reason=reason,
            key=key,
            now_ms=self._clock.now_ms(),
        )


class Quotas:
    """Reads and changes quotas. `plans` says what a subscription's SKU allows."""

    def __init__(
        self, store: Store, audit: Audit, settings: Settings, clock: Clock, plans: Mapping[int, Quota] | None = None
    ) -> None:
        self._store, self._audit, self._clock = store, audit, clock
        self._plans = plans or {}
        self._default, self._ceilings = default_quota(settings), ceilings(settings)
        self._cap_mc = settings.server_credits_a_day * 1000
        self._servers: dict[int, ServerQuotas] = {}
        self._subscriptions: list[Subscription] | None = None

    @property
    def default(self) -> Quota:
        """What holds where a server has set nothing."""
        return self._default

    async def terms(self, actor: Actor) -> Terms:
        """What somebody may do here and now; in direct messages, the least that servers shared with them allow."""
        if not actor.shared:
            return await self._terms(actor)
        terms = [await self._terms(each) for each in actor.shared]
        purses = [await self._available_mc(each, own) for each, own in zip(actor.shared, terms, strict=True)]
        home = max(range(len(terms)), key=lambda at: purses[at])  # of equals the first
        return strictest(terms[home], terms, actor.shared[home].guild_id)

    async def _available_mc(self, actor: Actor, terms: Terms) -> int:
        """What somebody can spend in their server."""
        now_ms = self._clock.now_ms()
        args = actor.user_id, actor.guild_id, terms.allowance_mc, terms.period, now_ms
        balance = await self._store.read(accounts.balance, *args)
        return balance.free_mc + balance.paid_mc

    async def _terms(self, actor: Actor) -> Terms:
        """What somebody may do in one server, or in direct messages that have rules of their own."""
        server = await self.server(actor.guild_id)
        if not (server.roles or server.people or self._plans):
            return terms_of(self._default, server.cap_mc)
        base = self._default.overlaid(server.roles.get(actor.guild_id, Quota()))
        roles = [server.roles[role] for role in sorted(actor.role_ids) if role in server.roles]
        quota = most_generous(base, [*roles, *await self._bought(actor)])
        own, until_ms = server.people.get(actor.user_id, (Quota(), None))
        if until_ms is None or until_ms > self._clock.now_ms():
            quota = quota.overlaid(own)
        return terms_of(quota, server.cap_mc)

    async def server(self, guild_id: int) -> ServerQuotas:
        """What a server has set, as far as those who run the bot allow it."""
        if guild_id not in self._servers:
            found = await self._store.read(quota_store.load, guild_id)
            self._servers[guild_id] = found.within(self._ceilings, self._cap_mc)
        return self._servers[guild_id]

    async def set_quota(self, by: Actor, change: QuotaChange) -> None:
        """Set or forget what a role or a member is allowed. The everyone role's id is the server's.

        Raises: BadInput for what is above its ceiling.
        """
        if change.quota is not None:
            change.quota.check_within(self._ceilings)
        await self._audit.perform(acts.set_quota, by, by.guild_id, change)
        self.forget(by.guild_id)

    async def set_budget(self, by: Actor, budget: Budget) -> None:
        """Set what the whole server can spend a day, and what a member can give away a day."""
        await self._audit.perform(acts.set_budget, by, by.guild_id, budget)
        self.forget(by.guild_id)

    def forget(self, guild_id: int | None = None) -> None:
        """Read again next time: after an erasure, say."""
        self._subscriptions = None
        if guild_id is None:
            self._servers.clear()
        else:
            self._servers.pop(guild_id, None)

    # ------------------------------------------------------------ bought with Discord
    async def subscribe(self, new: Subscription) -> None:
        """Note a subscription or its new end."""
        await self._store.write(quota_store.subscribe, new)
        self._subscriptions = None

    async def unsubscribe(self, entitlement_id: int) -> None:
        await self._store.write(quota_store.unsubscribe, entitlement_id)
        self._subscriptions = None

    async def replace_subscriptions(self, running: Sequence[Subscription]) -> None:
        """These run, and no others."""
        await self._store.write(quota_store.replace_subscriptions, tuple(running))
        self._subscriptions = None

    async def _bought(self, actor: Actor) -> list[Quota]:
        if not self._plans:
            return []
        if self._subscriptions is None:
            self._subscriptions = await self._store.read(quota_store.subscriptions)
        return list(self._for(actor, self._subscriptions))

    def _for(self, actor: Actor, known: list[Subscription]) -> Iterator[Quota]:
        """A person's own hold everywhere, a server's for all its members."""
        for each in known:
            theirs = each.user_id == actor.user_id or (each.user_id == 0 and each.guild_id == actor.guild_id)
            ended = each.ends_at_ms is not None and each.ends_at_ms <= self._clock.now_ms()
            if theirs and not ended and each.sku_id in self._plans:
                yield self._plans[each.sku_id]
