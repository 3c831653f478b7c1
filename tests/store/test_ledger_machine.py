"""The ledger against a model of it: any order of events, restarts included, gives the model's balances."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.errors import NotEnoughCredits
from bot.spec import Spec
from bot.store import Limits, ManualClock, NewImage, NewJob, Store, StoredFile
from bot.store.allowance import label_of

ALLOWANCE = 10
USERS = (1, 2)
SPEC = Spec(
    prompt="x", width=64, height=64, num_inference_steps=1, guidance_scale=1, scheduler="euler", seed=1, model="mini"
)


@dataclass
class Purse:
    """What the model knows of a person: free credits by day, and paid ones."""

    free: dict[str, int] = field(default_factory=dict)
    paid: int = 0


@dataclass
class Held:
    """What a job holds of which purse."""

    user: int
    state: str
    day: str
    free: int
    paid: int


class LedgerMachine(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = ManualClock()
        self.purses = {user: Purse() for user in USERS}
        self.jobs: dict[int, Held] = {}
        self.numbers = itertools.count(1)
        self.boots = itertools.count(1)
        self._enter()

    def _enter(self) -> None:
        self.stack = AsyncExitStack()
        opening = Store.open(self.folder / "easel.db", self.clock)
        self.store = self.do(self.stack.enter_async_context(opening))
        self.boot = f"boot-{next(self.boots)}"

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.do(self.stack.aclose())
            self.runner.close()
            shutil.rmtree(self.folder)

    def pick(self, index: int, *states: str) -> int | None:
        ids = [job for job, held in sorted(self.jobs.items()) if held.state in states]
        return ids[index % len(ids)] if ids else None

    @rule(user=st.sampled_from(USERS), price=st.integers(0, 12))
    def enqueue(self, user: int, price: int) -> None:
        purse, today = self.purses[user], label_of("day", self.clock.now_ms())
        new = NewJob(
            interaction_id=next(self.numbers), guild_id=1, channel_id=1, user_id=user, spec=SPEC, price_mc=price,
            application_id=1, reply_token="t",
        )  # fmt: skip
        granted = price and max(purse.free, default="") < today
        free = ALLOWANCE if granted else (purse.free[max(purse.free)] if purse.free else 0)
        try:
            job = self.do(self.store.enqueue(new, ALLOWANCE, Limits(max_queued=1000)))
        except NotEnoughCredits:
            assert price > free + purse.paid
            return
        assert price <= free + purse.paid
        if granted:
            purse.free = {day: 0 if day == max(purse.free) else left for day, left in purse.free.items()}
            purse.free[today] = ALLOWANCE
        part = min(price, free)
        if part:
            purse.free[max(purse.free)] -= part
        purse.paid -= price - part
        self.jobs[job.id] = Held(user, "queued", max(purse.free, default=""), part, price - part)

    @rule()
    def claim(self) -> None:
        for job in self.do(self.store.claim(self.boot, 1)):
            self.jobs[job.id].state = "running"

    def _back(self, held: Held, free: int, paid: int) -> None:
        if free:
            self.purses[held.user].free[held.day] += free
        self.purses[held.user].paid += paid

    @rule(index=st.integers(0, 9), count=st.integers(1, 4))
    def render(self, index: int, count: int) -> None:
        if job_id := self.pick(index, "running"):
            held = self.jobs[job_id]
            files = [StoredFile(path=f"{job_id}-{i}", sha256="00" * 32, bytes=1) for i in range(count)]
            images = [NewImage(ordinal=i, seed=i, file=files[i], width=1, height=1) for i in range(count)]
            charge = self.do(self.store.rendered(job_id, self.boot, images)).charged_mc
            assert charge == (held.free + held.paid) * count // 4
            kept = min(charge, held.free)
            self._back(held, held.free - kept, held.paid - (charge - kept))
            self.jobs[job_id] = Held(held.user, "rendered", held.day, kept, charge - kept)

    @rule(index=st.integers(0, 9))
    def fail(self, index: int) -> None:
        if job_id := self.pick(index, "running"):
            self.do(self.store.fail(job_id, self.boot, "broken", "It broke."))
            self._end(job_id)

    @rule(index=st.integers(0, 9))
    def cancel(self, index: int) -> None:
        if job_id := self.pick(index, "queued", "running"):
            self.do(self.store.cancel(job_id))
            self._end(job_id)

    def _end(self, job_id: int) -> None:
        held = self.jobs[job_id]
        self._back(held, held.free, held.paid)
        held.state = "ended"

    @rule(index=st.integers(0, 9), fate=st.sampled_from(["delivered", "buried", "deleted"]))
    def deliver(self, index: int, fate: str) -> None:
        if job_id := self.pick(index, "rendered"):
            owed = next(owed for owed in self.do(self.store.due_deliveries(1000)) if owed.job_id == job_id)
            if fate == "delivered":
                self.do(self.store.delivered(owed.id, 5))
                self.jobs[job_id].state = "done"
            elif fate == "buried":
                self.do(self.store.delivery_failed(owed.id, retry_at_ms=None))
                self._end(job_id)
            else:
                self.do(self.store.delete_job(job_id))
                self._end(job_id)

    @rule(index=st.integers(0, 9))
    def requeue(self, index: int) -> None:
        if job_id := self.pick(index, "running"):
            self.do(self.store.requeue(job_id, self.boot, count_attempt=False))
            self.jobs[job_id].state = "queued"

    @rule(user=st.sampled_from(USERS), amount=st.integers(1, 20))
    def give(self, user: int, amount: int) -> None:
        self.do(self.store.give_credits(user, 1, amount, "gift", f"gift-{next(self.numbers)}"))
        self.purses[user].paid += amount

    @rule(days=st.sampled_from([1, 2, -1]))
    def days_pass(self, days: int) -> None:
        self.clock.advance(days * 86_400)

    @precondition(lambda self: len(self.jobs) > 0)
    @rule()
    def restart(self) -> None:
        self.do(self.stack.aclose())
        self._enter()
        recovered = self.do(self.store.recover(self.boot))
        for job_id in recovered.requeued:
            self.jobs[job_id].state = "queued"
        for job_id in recovered.failed:
            self._end(job_id)

    @invariant()
    def balances_are_the_models(self) -> None:
        assert self.do(self.store.problems()) == []
        today = label_of("day", self.clock.now_ms())
        for user, purse in self.purses.items():
            balance = self.do(self.store.balance(user, 1, ALLOWANCE))
            latest = max(purse.free, default="")
            assert balance.free_mc == (purse.free[latest] if latest >= today else ALLOWANCE)
            assert balance.paid_mc == purse.paid
            active = [job for job in self.jobs.values() if job.user == user and job.state in ("queued", "running")]
            assert balance.reserved_mc == sum(job.free + job.paid for job in active)


LedgerMachine.TestCase.settings = settings(
    max_examples=12, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLedger = LedgerMachine.TestCase
