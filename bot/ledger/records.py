"""What accounts hold and what members are allowed: frozen records. Ids are Discord snowflakes."""

from __future__ import annotations

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
        max_queue, max_server_queue: most waiting jobs in all, and of the person's server.
        weight: the person's share of the queue against others.
        relax: what cannot be paid is queued for nothing, in the slow lane.
        period: of the free allowance.
        server_cap_mc: most millicredits that the server may spend a day (UTC); None = no cap.
        purse: the server whose credits, and share of the device, jobs of direct messages use; None = no other one.
    """

    max_queued: int = 10
    max_queue: int = 500
    max_server_queue: int = 250
    max_running: int = 64
    weight: float = 1.0
    relax: bool = False
    period: Literal["day", "month"] = "day"
    server_cap_mc: int | None = None
    purse: int | None = None
