"""The ledger against a model of it: any order of events, restarts included, gives the model's balances."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from copy import deepcopy
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.errors import BadInput, NotEnoughCredits
from bot.jobs.records import NewImage, NewJob, StoredFile
from bot.ledger import accounts, allowance
from bot.ledger.records import Limits
from bot.store.clock import ManualClock
from tests.job_rows import JobRows
from tests.specs import spec_of
from tests.store.ledger_model import Held, Period, Person, change

USERS = (1, 2)
TERMS: tuple[tuple[int, Period], ...] = ((10, "day"), (16, "day"), (40, "month"), (0, "day"))
GIFTS = 15  # a day
SPEC = spec_of(
    prompt="x", width=64, height=64, num_inference_steps=1, guidance_scale=1, scheduler="euler", seed=1, model="mini"
)


class LedgerMachine(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = ManualClock()
        self.people = {user: Person() for user in USERS}
        self.terms = dict.fromkeys(USERS, TERMS[0])
        self.given: dict[tuple[int, int], int] = {}
        self.retired: list[Person] = []
        self.jobs: dict[int, Held] = {}
        self.numbers = itertools.count(1)
        self.boots = itertools.count(1)
        self._enter()

    def _enter(self) -> None:
        self.stack = AsyncExitStack()
        opening = JobRows.open(self.folder / "easel.db", self.clock)
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

    @rule(user=st.sampled_from(USERS), terms=st.sampled_from(TERMS))
    def roles_change(self, user: int, terms: tuple[int, Period]) -> None:
        self.terms[user] = terms

    @rule(user=st.sampled_from(USERS), price=st.integers(0, 20), relax=st.booleans())
    def enqueue(self, user: int, price: int, relax: bool) -> None:
        amount, period = self.terms[user]
        new = NewJob(
            interaction_id=next(self.numbers), guild_id=1, channel_id=1, user_id=user, spec=SPEC, price_mc=price,
            application_id=1, reply_token="t",
        )  # fmt: skip
        later = deepcopy(self.people[user])
        if price:
            later.renew(amount, period, self.clock.now_ms())
        limits = Limits(max_queued=1000, relax=relax, period=period)
        try:
            job = self.do(self.store.enqueue(new, amount, limits))
        except NotEnoughCredits:
            assert price > later.left
            assert not relax
            return  # nothing happened, the grant included
        person = self.people[user]
        if price:
            person.renew(amount, period, self.clock.now_ms())
        relaxed = price > person.left
        assert (job.lane, job.price_mc) == (("relax", 0) if relaxed else ("fast", price))
        assert relax or not relaxed
        purse, free, paid = person.reserve(0 if relaxed else price)
        self.jobs[job.id] = Held(user, person, "queued", purse, free, paid)

    @rule()
    def claim(self) -> None:
        for job in self.do(self.store.claim(self.boot, 1)):
            self.jobs[job.id].state = "running"

    @rule(index=st.integers(0, 9), count=st.integers(1, 4))
    def render(self, index: int, count: int) -> None:
        if job_id := self.pick(index, "running"):
            held = self.jobs[job_id]
            files = [StoredFile(path=f"{job_id}-{i}", sha256="00" * 32, bytes=1) for i in range(count)]
            images = [NewImage(ordinal=i, seed=i, file=files[i], width=1, height=1) for i in range(count)]
            charge = self.do(self.store.rendered(job_id, self.boot, images)).charged_mc
            assert charge == (held.free + held.paid) * count // 4
            kept = min(charge, held.free)
            held.give_back(held.free - kept, held.paid - (charge - kept))
            held.state = "rendered"

    @rule(index=st.integers(0, 9))
    def fail(self, index: int) -> None:
        if job_id := self.pick(index, "running"):
            self.do(self.store.fail(job_id, self.boot, "broken", "It broke."))
            self.jobs[job_id].end()

    @rule(index=st.integers(0, 9), painted=st.fractions(0, 1, max_denominator=30))
    def cancel(self, index: int, painted: Fraction) -> None:
        if job_id := self.pick(index, "queued", "running"):
            held = self.jobs[job_id]
            charge = self.do(self.store.cancel(job_id, painted)).charged_mc
            assert charge == (held.free + held.paid) * painted.numerator // painted.denominator
            kept = min(charge, held.free)
            held.give_back(held.free - kept, held.paid - (charge - kept))
            held.state = "cancelled"

    @rule(index=st.integers(0, 9), fate=st.sampled_from(["delivered", "buried", "deleted"]))
    def deliver(self, index: int, fate: str) -> None:
        if job_id := self.pick(index, "rendered"):
            owed = next(owed for owed in self.do(self.store.due_deliveries(1000)) if owed.job_id == job_id)
            if fate == "delivered":
                self.do(self.store.delivered(owed.id, 5))
                self.jobs[job_id].state = "done"
                return
            if fate == "buried":
                self.do(self.store.delivery_failed(owed.id, retry_at_ms=None))
            else:
                self.do(self.store.delete_job(job_id))
            self.jobs[job_id].end()

    @rule(index=st.integers(0, 9))
    def requeue(self, index: int) -> None:
        if job_id := self.pick(index, "running"):
            self.do(self.store.requeue(job_id, self.boot, count_attempt=False))
            self.jobs[job_id].state = "queued"

    @rule(user=st.sampled_from(USERS), amount=st.integers(1, 20), twice=st.booleans())
    def give(self, user: int, amount: int, twice: bool) -> None:
        idem = f"gift-{next(self.numbers)}"
        for _ in range(1 + twice):
            self.do(self.store.give_credits(user, 1, amount, "granted", idem))
        self.people[user].paid += amount

    @rule(user=st.sampled_from(USERS), amount=st.integers(1, 30))
    def take(self, user: int, amount: int) -> None:
        person, idem = self.people[user], str(next(self.numbers))
        try:
            self.do(self.store.write(accounts.take, change(user, amount, "taken", idem, self.clock.now_ms())))
        except BadInput:
            assert amount > person.paid
            return
        person.paid -= amount
        assert person.paid >= 0

    @rule(giver=st.sampled_from(USERS), amount=st.integers(1, 20), twice=st.booleans())
    def gift(self, giver: int, amount: int, twice: bool) -> None:
        to, now_ms, idem = USERS[0] + USERS[1] - giver, self.clock.now_ms(), str(next(self.numbers))
        key = (id(self.people[giver]), now_ms // 86_400_000)
        # a clock set back sees the gifts of the days after it too
        given = sum(amount for (who, day), amount in self.given.items() if who == key[0] and day >= key[1])
        try:
            for _ in range(1 + twice):
                self.do(self.store.write(accounts.gift, giver, change(to, amount, "gift", idem, now_ms), GIFTS))
        except (BadInput, NotEnoughCredits):
            assert amount > self.people[giver].paid or given + amount > GIFTS
            return
        self.people[giver].paid -= amount
        self.people[to].paid += amount
        self.given[key] = self.given.get(key, 0) + amount

    @rule(user=st.sampled_from(USERS))
    def delete_everything_and_come_back(self, user: int) -> None:
        for job_id, held in self.jobs.items():
            if held.user == user and held.state in ("queued", "running", "rendered", "done"):
                self.do(self.store.delete_job(job_id))
                if held.state != "done":
                    held.end()
                held.state = "ended"

        def forget(db: sqlite3.Connection) -> None:
            allowance.leave(db, user, self.clock.now_ms())
            db.execute("UPDATE user SET discord_id = NULL WHERE discord_id = ?", (user,))

        self.do(self.store.write(forget))
        self._forget_old_hashes()
        self.retired.append(self.people[user])  # kept, for its `id` is a key of `given`
        self.people[user] = self.people[user].erased(self.clock.now_ms())

    def _forget_old_hashes(self) -> None:
        for person in self.people.values():
            person.used = {
                label: n for label, n in person.used.items() if allowance.ends_ms(label) > self.clock.now_ms()
            }

    @rule(days=st.sampled_from([1, 2, 31, -1]))
    def days_pass(self, days: int) -> None:
        self.clock.advance(days * 86_400)

    @precondition(lambda self: len(self.jobs) > 0)
    @rule()
    def restart(self) -> None:
        self.do(self.stack.aclose())
        self._enter()
        recovered = self.do(self.store.recover(self.boot))
        self._forget_old_hashes()
        for job_id in recovered.requeued:
            self.jobs[job_id].state = "queued"
        for job_id in recovered.failed:
            self.jobs[job_id].end()

    @invariant()
    def balances_are_the_models(self) -> None:
        assert self.do(self.store.problems()) == []
        for user, person in self.people.items():
            amount, period = self.terms[user]
            balance = self.do(self.store.balance(user, 1, amount, period))
            now = deepcopy(person)
            now.renew(amount, period, self.clock.now_ms())
            assert balance.free_mc == (now.free[-1].left if now.free else 0)
            assert balance.paid_mc == person.paid
            active = [job for job in self.jobs.values() if job.user == user and job.state in ("queued", "running")]
            assert balance.reserved_mc == sum(job.free + job.paid for job in active)


LedgerMachine.TestCase.settings = settings(
    max_examples=12, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLedger = LedgerMachine.TestCase
