"""What one person may do at one moment: the outcome of settings, roles and overrides. Pure; knows no Discord."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.config import Settings

Period = Literal["day", "month"]


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


def default_terms(settings: Settings) -> Terms:
    """What holds where a server has set nothing."""
    return Terms(
        allowance_mc=settings.credits_a_day * 1000,
        max_queued=settings.max_queued,
        max_running=settings.max_running,
        max_pixels=settings.max_pixels,
        max_steps=settings.max_steps,
    )
