"""Where a job will be done first: what a worker has to load, what waits for it, and what a load takes from others."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

from fakes import asked

from benchmarks.fleet_simulation import INFOS, WISH, VirtualLoop, in_virtual_time
from benchmarks.fleet_simulation import Card as SimulatedCard
from engine.api.model_info import ModelInfo
from engine.api.tickets import JobTicket
from engine.fake import MINI, FakeEngine
from engine.fleet.fleet import Fleet
from engine.fleet.members import FleetJob, Member
from engine.fleet.routing import Desk, Plan, ends_s
from engine.runtime.policy import StepTimes
from engine.tasks import resolve

A, B, C = (replace(MINI, key=key) for key in "abc")
LOAD_S, STEP_S, STEPS = 20.0, 0.5, 8  # a job takes four seconds


class Card(FakeEngine):
    """Has some models in memory, and no time passes."""

    def __init__(self, *loaded: ModelInfo) -> None:
        super().__init__((A, B, C))
        self._loaded = tuple(info.key for info in loaded)

    def status(self):  # type: ignore[no-untyped-def]
        return replace(super().status(), loaded=self._loaded)


def card(name: str, *loaded: ModelInfo) -> Member:
    return Member(name, Card(*loaded), loads={"any": LOAD_S}, models=(A, B, C), pace=pace())


def pace() -> StepTimes:
    found = StepTimes()
    for info in (A, B, C):
        found.observe(info.key, 64 * 64 * 2, STEP_S)
    return found


class Evening:
    """Jobs in the order they came, which is the order they are served in."""

    def __init__(self, *members: Member) -> None:
        self.members, self.jobs = members, list[FleetJob]()

    def asked(self, info: ModelInfo, count: int = 1, holder: Member | None = None, **facts: float) -> list[FleetJob]:
        for _ in range(count):
            request = resolve.complete(replace(asked(model=info.key), num_inference_steps=STEPS), info)
            ticket = JobTicket(lambda: None)
            job = FleetJob(len(self.jobs), request, info, "1", 1.0, "fast", ticket)
            if holder is not None:
                job.give(holder, ticket)
            for name, value in facts.items():
                setattr(job, name, value)
            self.jobs.append(job)
        return self.jobs[-count:]

    @property
    def rank(self) -> dict[int, int]:
        return {job.number: place for place, job in enumerate(self.jobs)}

    @property
    def plan(self) -> Plan:
        return Plan(self.jobs, self.members, self.rank, pace())

    def given(self) -> list[str]:
        """The names of those who get each of the jobs that wait; "" for those that go on waiting."""
        found, plan = [], self.plan
        for job in [each for each in self.jobs if each.waits]:
            member = plan.best(job)
            if member is not None:
                job.give(member, job.ticket)
                plan.given(job)
            found.append(member.name if member is not None else "")
        return found


async def test_what_comes_first_has_to_load_its_model() -> None:
    one = card("one")
    evening = Evening(one)
    (first,) = evening.asked(B, holder=one)
    (second,) = evening.asked(A)
    desk = Desk(one, evening.rank)
    assert desk.wait_s("a", evening.rank[second.number]) == LOAD_S + 4 + LOAD_S
    assert desk.wait_s("b", evening.rank[second.number]) == LOAD_S + 4, "it's there once the first one has it"
    first.started = 1.0
    assert Desk(one, evening.rank).wait_s("a", evening.rank[second.number]) == 4 + LOAD_S


async def test_nothing_is_loaded_where_that_keeps_others_waiting() -> None:
    """With nothing to do a card takes whatever waits for long; while its own models are wanted it keeps to them."""
    first, second = card("first", A), card("second", B)
    evening = Evening(first, second)
    evening.asked(A, 7, holder=first, started=1.0)  # 28 s, and room for one more
    evening.asked(A)
    assert evening.given() == ["second"], "a load of 20 s ends sooner"
    busy = Evening(first := card("first", A), second := card("second", B))
    busy.asked(A, 7, holder=first, started=1.0)
    busy.asked(B, 2, holder=second)
    busy.asked(A)
    assert busy.given() == ["first"]


async def test_a_model_is_loaded_again_once_too_many_wait_for_it() -> None:
    first, second = card("first", A), card("second", B)
    evening = Evening(first, second)
    evening.asked(A, 8, holder=first, started=1.0)
    evening.asked(B, holder=second)
    evening.asked(A, 12)
    given = evening.given()
    assert given[:4] == ["", "", "", "second"], "the first one has it sooner, until three wait"


async def test_a_full_worker_is_waited_for_and_others_go_first() -> None:
    first, second = card("first", A), card("second", B)
    evening = Evening(first, second)
    evening.asked(A, 8, holder=first)
    evening.asked(B, 3, holder=second)
    evening.asked(A)
    evening.asked(B)
    assert evening.given() == ["", "second"]


async def test_a_job_under_suspicion_holds_nobody_up() -> None:
    first, second = card("first", A), card("second", A)
    evening = Evening(first, second)
    evening.asked(A, holder=first)
    evening.asked(A, holder=second)
    evening.asked(A, blame=4)
    evening.asked(A, 2)
    assert evening.given() == ["", "first", "second"]


async def test_a_worker_with_nothing_to_do_takes_what_it_would_have_done_sooner() -> None:
    first, second = card("first", A, B), card("second", A)
    evening = Evening(first, second)
    evening.asked(A, holder=first, started=1.0)
    evening.asked(B, holder=first)
    assert evening.plan.movable(second) is None, "it would have to load"
    (third,) = evening.asked(A, holder=first)
    assert evening.plan.movable(second) is third


async def test_an_end_is_told_as_if_whoever_is_free_first_takes_the_next() -> None:
    first, second = card("first", A), card("second", A)
    evening = Evening(first, second)
    evening.asked(A, 2, holder=first, started=1.0)
    evening.asked(A, 3)
    assert list(ends_s(evening.jobs, evening.members).values()) == [4, 8, 4, 8, 12]


def test_cards_paint_and_hardly_ever_load_while_there_is_enough_to_do() -> None:
    """Ten minutes of six cards in virtual time, each of which holds three of six models; 96 members ask at once."""
    loop, cards = VirtualLoop(), [SimulatedCard() for _ in range(6)]
    dice = random.Random(3)

    async def member(fleet: Fleet, number: int) -> None:
        while True:
            model, steps = dice.choice(INFOS[:6]).key, dice.choice((4, 8, 20, 30))
            await fleet.submit(replace(WISH, model=model, num_inference_steps=steps), user=f"{number}").result()

    async def evening() -> None:
        async with Fleet(members=[Member(f"card-{n}", each) for n, each in enumerate(cards)]) as fleet:  # type: ignore[arg-type]
            living = [asyncio.create_task(member(fleet, number)) for number in range(96)]
            await asyncio.sleep(600)
            for task in living:
                task.cancel()
            await asyncio.gather(*living, return_exceptions=True)

    with in_virtual_time(loop):
        loop.run_until_complete(evening())
    loop.close()
    assert sum(each.painted_s for each in cards) > 0.95 * 6 * 600
    assert sum(each.loads for each in cards) <= 6 * 4
