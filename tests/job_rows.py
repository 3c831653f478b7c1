"""Jobs and credits of a real database in a test's hands: what services do to them, plus looks from outside."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, TypeVar

from bot.jobs.records import Job, NewJob
from bot.jobs.store import JobStore
from bot.ledger import accounts, transfers
from bot.ledger.records import Balance, CreditChange, Entry, Limits
from bot.store.clock import Clock
from bot.store.store import Store

P = ParamSpec("P")
T = TypeVar("T")


class JobRows(JobStore):
    """A `JobStore` that also gives credits and reads accounts."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__(store, clock)
        self.db = store

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, clock: Clock) -> AsyncIterator[JobRows]:
        async with Store.open(path, clock) as store:
            yield cls(store, clock)

    async def enqueue(self, new: NewJob, allowance_mc: int, limits: Limits = Limits()) -> Job:  # noqa: B008
        return (await self.enqueue_all([new], allowance_mc, limits))[0]

    async def balance(
        self, user_id: int, guild_id: int, allowance_mc: int, period: Literal["day", "month"] = "day"
    ) -> Balance:
        return await self.db.read(accounts.balance, user_id, guild_id, allowance_mc, period, self._clock.now_ms())

    async def entries(self, user_id: int, guild_id: int, limit: int = 20) -> list[Entry]:
        return await self.db.read(accounts.entries, user_id, guild_id, limit)

    async def give_credits(self, user_id: int, guild_id: int, amount_mc: int, reason: str, idem: str) -> None:
        """Add credits that do not expire; the same `idem` counts once."""
        now_ms = self._clock.now_ms()
        change = CreditChange(
            user_id=user_id, guild_id=guild_id, amount_mc=amount_mc, reason=reason, key=idem, now_ms=now_ms
        )
        await self.db.write(transfers.give, change)

    async def write(self, fn: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.db.write(fn, *args, **kwargs)

    async def read(self, fn: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.db.read(fn, *args, **kwargs)

    async def problems(self) -> list[str]:
        return await self.db.problems()
