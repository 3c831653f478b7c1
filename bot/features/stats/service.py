"""The figures of servers: counted, read, and as files and words. Knows no Discord."""

from __future__ import annotations

import csv
import io
import logging
import sqlite3
from datetime import UTC, datetime

from bot.features.stats import store as rows
from bot.features.stats.store import Figures
from bot.languages.speech import N_, _
from bot.ledger.amounts import amount_text
from bot.store.clock import DAY_MS, Clock
from bot.store.store import Store
from bot.threads.pools import PICTURES

log = logging.getLogger(__name__)

COLUMNS = ("day", "jobs", "pictures", "members", "wait_s", "render_s", "credits", "failed", "refusals")
REASONS = {
    "bad_input": N_("invalid input"),
    "credits": N_("credits used up"),
    "too_many_jobs": N_("too many jobs"),
    "busy": N_("queue or disk full"),
    "not_yours": N_("someone else's"),
    "not_found": N_("not found"),
    "permission": N_("bot lacks a permission"),
    "banned": N_("banned"),
    "blocked": N_("words, image, channel"),
    "invalid_request": N_("model can't do it"),
    "discord": N_("Discord didn't answer"),
    "internal": N_("error inside Easel"),
}


class Statistics:
    """Counts by day; they name no one."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def figures(self, guild_id: int | None, days: int) -> Figures:
        """The last `days`, today (UTC) included, of a server; None = of all. Raises: Busy."""
        whole = rows.spans(days, self._clock.now_ms())
        parts = [await self._store.read(rows.part, guild_id, each) for each in whole]  # others read in between
        return await PICTURES.run(rows.joined, parts, whole)

    async def count_refusal(self, guild_id: int, code: str) -> None:
        """Count a refusal. If that fails, it's only logged."""
        try:
            await self._store.write(rows.count_refusal, guild_id, code, self._clock.now_ms())
        except sqlite3.Error:  # a full disk, say
            log.warning("a refusal was not counted", exc_info=True)


def reason(code: str) -> str:
    """A refusal's code in words."""
    return _(REASONS[code]) if code in REASONS else code.replace("_", " ")


def to_csv(figures: Figures) -> bytes:
    """A line for each day, then a line for each reason of refusal; UTF-8 with a mark, as spreadsheets like it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for day in figures.days:
        counts = (day.jobs, day.images, day.members, seconds(day.wait_ms), seconds(day.render_ms))
        writer.writerow([date(day.day), *counts, day.credits_mc / 1000, day.failed, day.refusals])
    writer.writerow([])
    writer.writerow(["refused because", "times"])
    writer.writerows(figures.refusals)
    return out.getvalue().encode("utf-8-sig")


def summary(figures: Figures) -> list[str]:
    """The whole period, one number a line."""
    total = figures.total
    rows = [
        ("days", f"{date(figures.days[0].day)} to {date(figures.days[-1].day)}"),
        ("jobs", total.jobs),
        ("images", total.images),
        ("members", total.members),
        ("wait, median", f"{seconds(total.wait_ms) or '-'} s"),
        ("generating, median", f"{seconds(total.render_ms) or '-'} s"),
        ("credits", amount_text(total.credits_mc)),
        ("failed", total.failed),
        ("refusals", total.refusals),
        *((f"  {reason(code)}", count) for code, count in figures.refusals),
    ]
    return [f"{name:<28} {value}" for name, value in rows]


def moment(at_ms: int) -> str:
    """A time as 2025-06-15 12:34."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def date(day: int) -> str:
    """A day of the figures as 2025-06-15."""
    return datetime.fromtimestamp(day * DAY_MS / 1000, UTC).strftime("%Y-%m-%d")


def seconds(milliseconds: int | None) -> str:
    return "" if milliseconds is None else f"{milliseconds / 1000:.1f}"
