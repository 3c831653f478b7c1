"""The audit log: what was done to a community, by whom. Every admin act goes through `record`. Knows no Discord."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from bot.features.audit import store as audit_store
from bot.features.audit.store import AuditEntry, AuditQuery
from bot.prompt.text import visible
from bot.store.clock import Clock
from bot.store.store import Store

EASEL = 0  # the actor of what nobody in particular did
EXPORT_MAX = 10_000  # entries of one file: about 2 MiB
COLUMNS = ("id", "time", "server", "actor", "action", "target", "details")


class Audit:
    """Writes and searches the log; `listeners` hear each entry once it is on disk."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self.listeners: list[Callable[[AuditEntry], None]] = []

    async def record(
        self, guild_id: int, actor_id: int, action: str, target: str = "", details: Mapping[str, Any] | None = None
    ) -> AuditEntry:
        """Note an act.

        Args:
            guild_id: the server; 0 = everywhere. actor_id: who did it (Discord id); 0 = Easel.
            action: `topic.verb`, such as `ban.set` or `quota.grant`; members' own acts start with `prompt.`,
                `image.`, `upload.`, `appeal.` or `member.`, and are erased with the member.
            target: `user:<id>`, `role:<id>`, `job:<id>`, `channel:<id>`, `word:<word>`, or empty.
            details: small JSON values; long texts are cut.
        """
        kept = {key: value[:500] if isinstance(value, str) else value for key, value in (details or {}).items()}
        now_ms = self._clock.now_ms()
        entry = await self._store.write(audit_store.add, guild_id, actor_id, action, target, kept, now_ms)
        self.publish(entry)
        return entry

    def publish(self, entry: AuditEntry) -> None:
        """Tell the listeners of an entry that an act wrote in its own transaction, once that is on disk."""
        for listener in self.listeners:
            listener(entry)

    async def search(self, query: AuditQuery, limit: int = 20) -> list[AuditEntry]:
        """The newest entries that fit, newest first."""
        return await self._store.read(audit_store.search, query, limit)

    async def export(self, query: AuditQuery) -> bytes:
        """What fits, newest first, as CSV in UTF-8 that a spreadsheet opens without running anything."""
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
