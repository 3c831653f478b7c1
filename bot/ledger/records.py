"""What accounts hold and what members are allowed: frozen records. Ids are Discord snowflakes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Somebody's credits in a server, in millicredits. `free_mc` is what is left of this period's allowance."""

    free_mc: int
    paid_mc: int
    reserved_mc: int
    renews_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditChange:
    """Credits that don't expire, moved by hand.

    Attributes:
        user_id: whose account changes; of a gift, who receives it.
        guild_id: where they can be spent; 0 = in every server.
        amount_mc: millicredits, > 0.
        reason: what the member's /credits say.
        key: the same key counts once, such as the id of the interaction.
    """

    user_id: int
    guild_id: int
    amount_mc: int
    reason: str
    key: str
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of somebody's account: positive = received. Reservations that resolved are not shown."""

    at_ms: int
    amount_mc: int
    reason: str
    job_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one person's new jobs are held to.

    Attributes:
        max_queued, max_running: most active jobs of the person, and most of them in the engine.
        max_queue: most waiting jobs in all.
        weight: the person's share of the queue against others.
        relax: what cannot be paid is queued for nothing, in the slow lane.
        period: of the free allowance.
        server_cap_mc: most millicredits that the server may spend a day (UTC); None = no cap.
    """

    max_queued: int = 10
    max_queue: int = 500
    max_running: int = 64
    weight: float = 1.0
    relax: bool = False
    period: Literal["day", "month"] = "day"
    server_cap_mc: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a role or a person is allowed; None = not said here. `models` and `loras` hold `*` when all are."""

    allowance_mc: int | None = None
    period: Literal["day", "month"] | None = None
    max_queued: int | None = None
    max_running: int | None = None
    max_pixels: int | None = None
    max_steps: int | None = None
    models: frozenset[str] | None = None
    loras: frozenset[str] | None = None
    weight: float | None = None
    relax: bool | None = None


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
    said: Quota = Quota()
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
    """Everything a server set: quotas by role id and by person (with the end, epoch ms), and for all together."""

    roles: Mapping[int, Quota]
    people: Mapping[int, tuple[Quota, int | None]]
    cap_mc: int | None
    gifts_mc: int | None
