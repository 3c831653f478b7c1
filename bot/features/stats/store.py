"""What happened, in numbers by day: pictures, members, waiting and painting times, credits, refusals. Knows no Discord.

The numbers outlive the pictures: a deleted job keeps its times, its price and how many pictures it had.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
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


ADDED = ("jobs", "images", "credits_mc", "failed")
MOST_PARTS = 90  # a read of many days holds up everybody else's
COUNTS = f"""
SELECT created_at / {DAY_MS} AS day, user_id, count(*) AS jobs, ifnull(sum(outputs), 0) AS images,
       ifnull(sum(charged), 0) AS credits_mc, ifnull(sum(state = 'failed'), 0) AS failed
FROM job WHERE {{where}} GROUP BY day, user_id
"""
TIMES = f"""
SELECT created_at / {DAY_MS} AS day, started_at - created_at AS wait, finished_at - started_at AS run
FROM job WHERE {{where}} AND outputs > 0 AND started_at IS NOT NULL
"""


@dataclass(eq=False, slots=True)
class Facts:
    """What the figures of a day, or of a period, are made from.

    Attributes:
        counts: what adds up. members: their ids, for a member of every day is one member. waits, runs: ms of each job
            that was painted, from the order to the first step, and from there to the end. refusals: by reason.
    """

    counts: Counter[str] = field(default_factory=Counter)
    members: set[int] = field(default_factory=set)
    waits: array[int] = field(default_factory=lambda: array("q"))
    runs: array[int] = field(default_factory=lambda: array("q"))
    refusals: Counter[str] = field(default_factory=Counter)

    def add(self, other: Facts) -> None:
        self.counts.update(other.counts)
        self.members |= other.members
        self.waits += other.waits
        self.runs += other.runs
        self.refusals.update(other.refusals)

    def told(self, day: int) -> Day:
        return Day(
            day=day,
            members=len(self.members),
            wait_ms=int(median(self.waits)) if self.waits else None,
            render_ms=int(median(self.runs)) if self.runs else None,
            refusals=self.refusals.total(),
            **{name: self.counts[name] for name in ADDED},
        )


Part = dict[int, Facts]
"""Some days, by their number."""


def spans(days: int, now_ms: int) -> list[range]:
    """The last `days` UTC days, today included, in parts that are read one after the other."""
    today, step = now_ms // DAY_MS, -(-days // MOST_PARTS)
    return [range(first, min(first + step, today + 1)) for first in range(today - days + 1, today + 1, step)]


def figures(db: sqlite3.Connection, guild_id: int | None, days: int, now_ms: int) -> Figures:
    """The last `days` UTC days, today included, of a server or of all (None)."""
    whole = spans(days, now_ms)
    return joined([part(db, guild_id, each) for each in whole], whole)


def part(db: sqlite3.Connection, guild_id: int | None, days: range) -> Part:
    """What happened on these days, in a server or in all (None)."""
    found: Part = defaultdict(Facts)
    where, values = _on(days, guild_id)
    for row in db.execute(COUNTS.format(where=where), values):
        facts = found[row["day"]]
        for name in ADDED:
            facts.counts[name] += row[name]
        facts.members.add(row["user_id"])
    for row in db.execute(TIMES.format(where=where), values):
        found[row["day"]].waits.append(max(0, row["wait"]))
        found[row["day"]].runs.append(max(0, row["run"]))
    where, values = _on(days, guild_id, "day", 1)
    for row in db.execute(f"SELECT day, code, sum(count) AS n FROM refusal WHERE {where} GROUP BY day, code", values):
        found[row["day"]].refusals[row["code"]] += row["n"]
    return found


def joined(parts: Sequence[Part], whole: Sequence[range]) -> Figures:
    """The figures of all days of `whole`. Of hundreds of thousands of jobs that takes a second."""
    by_day = {day: facts for each in parts for day, facts in each.items()}
    total = Facts()
    for facts in by_day.values():
        total.add(facts)
    return Figures(
        days=tuple(by_day.get(day, Facts()).told(day) for each in whole for day in each),
        total=total.told(whole[0][0]),
        refusals=tuple(sorted(total.refusals.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


def _on(days: range, guild_id: int | None, column: str = "created_at", unit: int = DAY_MS) -> tuple[str, list[int]]:
    """A condition and its values: on these days, in a server or in all. In words of its own, to find an index."""
    where, values = f"{column} >= ? AND {column} < ?", [days[0] * unit, (days[-1] + 1) * unit]
    return (where, values) if guild_id is None else (f"guild_id = ? AND {where}", [guild_id, *values])
