"""What servers have set and what was bought: frozen records. Ids are Discord's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from bot.ledger.limits import Budget, Quota


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaChange:
    """A quota for a role or else a member.

    Attributes:
        quota: what holds from now on; None forgets it.
        said: what of it was just set, for the audit log.
        until_ms: when a member's quota ends (UTC epoch ms); None = never.
    """

    role_id: int = 0
    user_id: int = 0
    quota: Quota | None
    said: Quota = field(default_factory=Quota)
    until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Bought with Discord: a quota for a person (`user_id`) or a whole server; ids are Discord's, 0 = none."""

    id: int
    sku_id: int
    user_id: int
    guild_id: int
    ends_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerQuotas:
    """What a server has set.

    Attributes:
        roles: quotas by role id; the everyone role's is the server's.
        people: quotas by member, with their end (UTC epoch ms; None = never).
        budget: what holds for the whole server.
    """

    roles: Mapping[int, Quota]
    people: Mapping[int, tuple[Quota, int | None]]
    budget: Budget = field(default_factory=Budget)

    def within(self, ceilings: Quota, cap_mc: int) -> Self:
        """The same, with what is above its ceiling lowered to it; `cap_mc`: of the whole server, 0 = none."""
        caps = [cap for cap in (self.budget.cap, cap_mc) if cap]
        return replace(
            self,
            roles={role: quota.within(ceilings) for role, quota in self.roles.items()},
            people={person: (quota.within(ceilings), until) for person, (quota, until) in self.people.items()},
            budget=self.budget.overlaid(Budget(cap=min(caps))) if caps else self.budget,
        )

    @property
    def cap_mc(self) -> int | None:
        """Most that the server may spend a day; None = no cap."""
        return self.budget.cap or None

    @property
    def gifts_mc(self) -> int | None:
        """Most that a member may give away a day; None = gifts are off."""
        return self.budget.gifts or None
