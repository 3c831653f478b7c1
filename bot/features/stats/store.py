"""What happened, in numbers by day: pictures, members, waiting and painting times, credits, refusals. Knows no Discord.

The numbers outlive the pictures: a deleted job keeps its times, its price and how many pictures it had.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from statistics import median

from bot.store.clock import DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One UTC day. `day` counts from the epoch; times are medians in ms, None when nothing was painted."""

    day: int
    jobs: int = 0
    images: int = 0
    members: int = 0
    wait_ms: int | None = None
    render_ms: int | None = None
    credits_mc: int = 0
    failed: int = 0
    refusals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A period: its days without gaps, and the whole. `refusals`: how often, by reason, the most frequent first."""

    days: tuple[Day, ...]
    total: Day
    refusals: tuple[tuple[str, int], ...]


def count_refusal(db: sqlite3.Connection, guild_id: int, code: str, now_ms: int) -> None:
    """Note that something was refused, and nothing about whom."""
    db.execute(
        "INSERT INTO refusal VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
        (now_ms // DAY_MS, guild_id, code[:40]),
    )


def figures(db: sqlite3.Connection, guild_id: int | None, days: int, now_ms: int) -> Figures:
    """The last `days` UTC days, today included, of a server or of all (None)."""
    today = now_ms // DAY_MS
    first = today - days + 1
    counted, times = _counted(db, guild_id, first), _times(db, guild_id, first)
    refused = _refused(db, guild_id, first)
    by_day: dict[int, int] = defaultdict(int)
    by_code: dict[str, int] = defaultdict(int)
    for (day, code), count in refused.items():
        by_day[day] += count
        by_code[code] += count
    whole = (first, today + 1)
    return Figures(
        days=tuple(_day(day, counted.get(day, {}), times.get(day, []), by_day[day]) for day in range(*whole)),
        total=_day(
            first,
            _totals(db, guild_id, first),
            [pair for pairs in times.values() for pair in pairs],
            sum(by_day.values()),
        ),
        refusals=tuple(sorted(by_code.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


_COUNTS = """
  count(*) AS jobs, ifnull(sum(outputs), 0) AS images, count(DISTINCT user_id) AS members,
  ifnull(sum(charged), 0) AS credits_mc, ifnull(sum(state = 'failed'), 0) AS failed
  FROM job WHERE
"""


def _since(first: int, guild_id: int | None, column: str = "created_at", unit: int = DAY_MS) -> tuple[str, list[int]]:
    """A condition and its values: from that day on, of a server or of all. In words of its own, to find an index."""
    if guild_id is None:
        return f"{column} >= ?", [first * unit]
    return f"guild_id = ? AND {column} >= ?", [guild_id, first * unit]


def _counted(db: sqlite3.Connection, guild_id: int | None, first: int) -> dict[int, dict[str, int]]:
    where, values = _since(first, guild_id)
    rows = db.execute(f"SELECT created_at / {DAY_MS} AS day, {_COUNTS} {where} GROUP BY day", values)
    return {row["day"]: {name: row[name] for name in row.keys() if name != "day"} for row in rows}  # noqa: SIM118


def _totals(db: sqlite3.Connection, guild_id: int | None, first: int) -> dict[str, int]:
    """Not the sum of the days: a member of every day is one member."""
    where, values = _since(first, guild_id)
    return dict(db.execute(f"SELECT {_COUNTS} {where}", values).fetchone())


def _times(db: sqlite3.Connection, guild_id: int | None, first: int) -> dict[int, list[tuple[int, int]]]:
    """(waited, painted) in ms of each job that was painted, by the day it was asked for."""
    where, values = _since(first, guild_id)
    rows = db.execute(
        f"SELECT created_at / {DAY_MS} AS day, started_at - created_at AS wait, finished_at - started_at AS run"
        f" FROM job WHERE {where} AND outputs > 0 AND started_at IS NOT NULL",
        values,
    )
    found: dict[int, list[tuple[int, int]]] = {}
    for row in rows:
        found.setdefault(row["day"], []).append((max(0, row["wait"]), max(0, row["run"])))
    return found


def _refused(db: sqlite3.Connection, guild_id: int | None, first: int) -> dict[tuple[int, str], int]:
    where, values = _since(first, guild_id, "day", 1)
    rows = db.execute(f"SELECT day, code, sum(count) AS n FROM refusal WHERE {where} GROUP BY day, code", values)
    return {(row["day"], row["code"]): row["n"] for row in rows}


def _day(day: int, counts: dict[str, int], times: list[tuple[int, int]], refusals: int) -> Day:
    wait = int(median(pair[0] for pair in times)) if times else None
    run = int(median(pair[1] for pair in times)) if times else None
    return Day(day=day, wait_ms=wait, render_ms=run, refusals=refusals, **counts)
