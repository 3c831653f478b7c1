"""The audit log: who did what in a community. Every act of people in charge goes through `perform`.

Knows no Discord.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, ParamSpec, TypeAlias, TypeVar

from bot.features.audit import store as audit_store
from bot.features.audit.acts import Act, Author
from bot.features.audit.store import AuditEntry, AuditQuery
from bot.orders.actor import Actor
from bot.prompt.text import visible
from bot.store.clock import Clock
from bot.store.store import Store

P = ParamSpec("P")
T = TypeVar("T")
Event = Literal[
    "prompt.refused",
    "prompt.flagged",
    "upload.refused",
    "image.withheld",
    "image.spoiler",
    "announce.sent",
    "audit.export",
]
"""What is noted although nothing else changes with it. What changes something is an act, see `acts.py`."""
Bound: TypeAlias = Callable[[sqlite3.Connection, Author], tuple[Any, list[AuditEntry]]]
"""An act with its arguments."""
EASEL = 0  # the actor of what no one in particular did
EXPORT_MAX = 10_000  # entries of one file: about 2 MiB
COLUMNS = ("id", "time", "server", "actor", "action", "target", "details")


class Audit:
    """Writes and searches the log; `listeners` hear each entry once it is on disk."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self.listeners: list[Callable[[AuditEntry], None]] = []

    async def perform(self, act: Act[P, T], by: Actor, guild_id: int, *args: P.args, **kwargs: P.kwargs) -> T:
        """Carry out an act, its rows in the same transaction, and tell the listeners.

        `guild_id` is where it counts; 0 = everywhere. Raises: what the act raises; then nothing was changed.
        """
        result: T
        (result,) = await self.perform_all(by, (guild_id, lambda db, author: act(db, author, *args, **kwargs)))
        return result

    async def perform_all(self, by: Actor, *acts: tuple[int, Bound]) -> list[Any]:
        """Carry out several acts, each where it counts: all of them, or none. Returns their results in order.

        Raises: what one of them raises; then nothing was changed.
        """
        now_ms = self._clock.now_ms()

        def carry_out(db: sqlite3.Connection) -> list[tuple[Any, list[AuditEntry]]]:
            return [act(db, Author(actor_id=by.user_id, guild_id=place, now_ms=now_ms)) for place, act in acts]

        done = await self._store.write(carry_out)
        for _, entries in done:
            for entry in entries:
                self._publish(entry)
        return [result for result, _ in done]

    async def record(
        self, guild_id: int, actor_id: int, action: Event, target: str = "", details: Mapping[str, Any] | None = None
    ) -> AuditEntry:
        """Note an event.

        Args:
            guild_id: the server; 0 = everywhere. actor_id: who caused it (Discord id); 0 = Easel.
            action: members' own, which start with `prompt.`, `image.`, `upload.`, `appeal.` or `member.`, are erased
                with the member.
            target: `user:<id>`, `role:<id>`, `job:<id>`, `channel:<id>`, `word:<word>`, or empty.
            details: small JSON values; long texts are cut.
        """
        now_ms = self._clock.now_ms()
        entry = await self._store.write(audit_store.add, guild_id, actor_id, action, target, details or {}, now_ms)
        self._publish(entry)
        return entry

    def _publish(self, entry: AuditEntry) -> None:
        for listener in self.listeners:
            listener(entry)

    async def search(self, query: AuditQuery, limit: int = 20) -> list[AuditEntry]:
        """Return the newest matching entries, newest first."""
        return await self._store.read(audit_store.search, query, limit)

    async def export(self, query: AuditQuery) -> bytes:
        """Return the matching entries, newest first, as CSV that no spreadsheet runs as formulas."""
        return to_csv(await self.search(query, EXPORT_MAX))


def to_csv(entries: Iterable[AuditEntry]) -> bytes:
    """A header and a line for each entry."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for entry in entries:
        time = datetime.fromtimestamp(entry.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        details = json.dumps(dict(entry.details), ensure_ascii=False)
        ids = (entry.id, time, entry.guild_id, entry.actor_id)
        writer.writerow([*ids, *(_harmless(cell) for cell in (entry.action, entry.target, details))])
    return out.getvalue().encode("utf-8-sig")  # the mark tells spreadsheets that it is UTF-8


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula, and nobody's eyes for another text."""
    cell = visible(cell)
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell
