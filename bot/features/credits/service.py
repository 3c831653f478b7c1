"""Everybody's terms, changed live: a server's quotas by role and person, and what Discord's subscriptions add.

Kept in memory once read, for every command asks; one process owns the database, and changes go through here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bot.config import Settings
from bot.features.credits import store as quota_store
from bot.ledger.records import Quota, ServerQuotas, Subscription
from bot.ledger.terms import Terms, default_quota, default_terms, most_generous, overlaid, terms_of
from bot.orders.actor import Actor
from bot.store.clock import Clock
from bot.store.store import Store


class Quotas:
    """Reads and changes quotas. `plans` says what a subscription's SKU allows."""

    def __init__(
        self, store: Store, settings: Settings, clock: Clock, plans: Mapping[int, Quota] | None = None
    ) -> None:
        self._store, self._settings, self._clock = store, settings, clock
        self._plans = plans or {}
        self._plain = default_terms(settings)
        self._servers: dict[int, ServerQuotas] = {}
        self._subscriptions: list[Subscription] | None = None

    async def terms(self, asker: Actor) -> Terms:
        """What somebody may do here and now."""
        server = await self.server(asker.guild_id)
        if not (server.roles or server.people or self._plans):
            return replace(self._plain, server_cap_mc=server.cap_mc)
        base = overlaid(default_quota(self._settings), server.roles.get(asker.guild_id, Quota()))
        roles = [server.roles[role] for role in sorted(asker.role_ids) if role in server.roles]
        quota = most_generous(base, [*roles, *await self._bought(asker)])
        own, until_ms = server.people.get(asker.user_id, (Quota(), None))
        if until_ms is None or until_ms > self._clock.now_ms():
            quota = overlaid(quota, own)
        return terms_of(quota, server.cap_mc)

    async def server(self, guild_id: int) -> ServerQuotas:
        """What a server has set."""
        if guild_id not in self._servers:
            self._servers[guild_id] = await self._store.read(quota_store.load, guild_id)
        return self._servers[guild_id]

    async def set_role(self, guild_id: int, role_id: int, quota: Quota | None) -> None:
        """Set what a role is allowed; None forgets it. The everyone role's id is the server's."""
        await self._store.write(quota_store.set_role, guild_id, role_id, quota, self._clock.now_ms())
        self.forget(guild_id)

    async def set_person(self, guild_id: int, user_id: int, quota: Quota | None, until_ms: int | None) -> None:
        """Set what one person is allowed, whatever their roles say, up to `until_ms` (None = for good)."""
        await self._store.write(quota_store.set_person, guild_id, user_id, quota, until_ms, self._clock.now_ms())
        self.forget(guild_id)

    async def set_budget(self, guild_id: int, cap_mc: int | None, gifts_mc: int | None) -> None:
        """Set what the whole server may spend a day, and a member may give away a day."""
        await self._store.write(quota_store.set_budget, guild_id, cap_mc, gifts_mc, self._clock.now_ms())
        self.forget(guild_id)

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

    async def _bought(self, asker: Actor) -> list[Quota]:
        if not self._plans:
            return []
        if self._subscriptions is None:
            self._subscriptions = await self._store.read(quota_store.subscriptions)
        return list(self._for(asker, self._subscriptions))

    def _for(self, asker: Actor, known: list[Subscription]) -> Iterator[Quota]:
        """A person's own hold everywhere, a server's for all its members."""
        for each in known:
            theirs = each.user_id == asker.user_id or (each.user_id == 0 and each.guild_id == asker.guild_id)
            ended = each.ends_at_ms is not None and each.ends_at_ms <= self._clock.now_ms()
            if theirs and not ended and each.sku_id in self._plans:
                yield self._plans[each.sku_id]
