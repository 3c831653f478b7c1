"""What makes a change and its rows in the audit log one act, in one transaction. Knows no Discord.

A feature's acts are the functions of its `acts.py` that are marked with `@act`. Each runs inside the caller's
transaction and returns its result and what is to be noted, so an act that can't be noted doesn't happen. The bot's
services carry one out with `Audit.perform`; the command line calls it on a connection of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar

from bot.features.audit import store as audit_store
from bot.features.audit.store import AuditEntry

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who acts, where and when.

    Attributes:
        actor_id: a Discord id; 0 is Easel itself. guild_id: where it counts; 0 is everywhere. now_ms: UTC epoch ms.
        through: what else than Discord was used, for the log.
    """

    actor_id: int
    guild_id: int
    now_ms: int
    through: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One row of the log.

    Attributes:
        target: `user:<id>`, `role:<id>`, `job:<id>`, `word:<word>` and the like, or empty. details: small JSON values.
        action: which of the act's names; empty = its only one. guild_id: None = where the author acts.
        nameless: the row doesn't say who acted.
    """

    target: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    action: str = ""
    guild_id: int | None = None
    nameless: bool = False


Change: TypeAlias = Callable[Concatenate[sqlite3.Connection, Author, P], tuple[T, Sequence[Note]]]


class Act(Generic[P, T]):
    """A change that notes itself; `names` are the actions of its rows, `topic.verb`."""

    def __init__(self, names: tuple[str, ...], change: Change[P, T]) -> None:
        self.names, self._change = names, change

    def __call__(
        self, db: sqlite3.Connection, by: Author, *args: P.args, **kwargs: P.kwargs
    ) -> tuple[T, list[AuditEntry]]:
        """Change what is to be changed and note it; no rows when nothing changed. Raises: what the change raises."""
        result, notes = self._change(db, by, *args, **kwargs)
        return result, [self._write(db, by, note) for note in notes]

    def _write(self, db: sqlite3.Connection, by: Author, note: Note) -> AuditEntry:
        action = note.action or self.names[0]
        assert action in self.names, f"{action} is none of {self.names}"
        guild_id = by.guild_id if note.guild_id is None else note.guild_id
        details = {**note.details, **({"by": by.through} if by.through else {})}
        actor_id = 0 if note.nameless else by.actor_id
        return audit_store.add(db, guild_id, actor_id, action, note.target, details, by.now_ms)


ACTS: dict[str, Act[..., Any]] = {}
"""Every act by each of its names, once its module is imported: what the tests go through."""


def act(*names: str) -> Callable[[Change[P, T]], Act[P, T]]:
    """Make a function an act with these names."""

    def register(change: Change[P, T]) -> Act[P, T]:
        made = Act(names, change)
        for name in names:
            assert name not in ACTS, f"there is an act {name} already"
            ACTS[name] = made
        return made

    return register
