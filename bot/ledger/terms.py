"""What one person may do at one moment: the outcome of settings, roles and overrides. Pure; knows no Discord."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from bot.config import Settings
from bot.ledger.records import Limits, Quota

Period = Literal["day", "month"]
ALL = frozenset({"*"})
OTHERS = 4  # one member has a quarter of the engine's jobs at most, if nothing else is set
DAYS = {"day": 30, "month": 1}  # how many periods a month has, for comparing allowances


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Somebody's terms in a server.

    Attributes:
        allowance_mc: free millicredits each `period` (UTC).
        max_queued: jobs waiting or running at once. max_running: of them in the engine at once.
        max_pixels, max_steps: of one picture.
        models, loras: those allowed by name; None = all.
        weight: share of the queue against others, 1 = normal.
        relax: without credits a job still runs, free and slower.
        server_cap_mc: most millicredits that the whole server may spend a day; None = no cap.
    """

    allowance_mc: int
    period: Period = "day"
    max_queued: int
    max_running: int
    max_pixels: int
    max_steps: int
    models: frozenset[str] | None = None
    loras: frozenset[str] | None = None
    weight: float = 1.0
    relax: bool = False
    server_cap_mc: int | None = None

    def limits(self, max_queue: int) -> Limits:
        """What the store holds new jobs to; `max_queue` is for everybody together."""
        return Limits(
            max_queued=self.max_queued,
            max_queue=max_queue,
            max_running=self.max_running,
            weight=self.weight,
            relax=self.relax,
            period=self.period,
            server_cap_mc=self.server_cap_mc,
        )


def default_quota(settings: Settings) -> Quota:
    """What holds where a server has set nothing; every field is said."""
    return Quota(
        allowance_mc=settings.credits_a_day * 1000,
        period="day",
        max_queued=settings.max_queued,
        max_running=max(1, settings.max_running // OTHERS),  # room for others, whoever floods the queue
        max_pixels=settings.max_pixels,
        max_steps=settings.max_steps,
        models=ALL,
        loras=ALL,
        weight=1.0,
        relax=settings.relax,
    )


def default_terms(settings: Settings) -> Terms:
    """The settings' own terms."""
    return terms_of(default_quota(settings), None)


def terms_of(quota: Quota, server_cap_mc: int | None) -> Terms:
    """Terms of a quota whose every field is said."""
    said: dict[str, Any] = {field.name: getattr(quota, field.name) for field in fields(Quota)}
    lists = {name: None if "*" in said[name] else said[name] for name in ("models", "loras")}
    return Terms(**said | lists | {"server_cap_mc": server_cap_mc})


def overlaid(base: Quota, over: Quota) -> Quota:
    """`over` where it says something, else `base`."""
    said = {field.name: getattr(over, field.name) for field in fields(Quota)}
    return replace(base, **{name: value for name, value in said.items() if value is not None})


def most_generous(base: Quota, more: Iterable[Quota]) -> Quota:
    """Field by field the best of several; an allowance is worth what it gives in a month, lists add up."""
    best = base
    for other in more:
        best = _better(best, overlaid(best, other))
    return best


def _better(one: Quota, other: Quota) -> Quota:
    values = {field.name: _max(getattr(one, field.name), getattr(other, field.name)) for field in fields(Quota)}
    richer = max(one, other, key=_a_month)
    return Quota(**values | {"allowance_mc": richer.allowance_mc, "period": richer.period})


def _max(one: Any, other: Any) -> Any:
    return one | other if isinstance(one, frozenset) else max(one, other)


def _a_month(quota: Quota) -> int:
    return (quota.allowance_mc or 0) * DAYS[quota.period or "month"]
