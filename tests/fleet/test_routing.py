"""Where a job will be done first: what a worker has to load for others counts, too."""

from __future__ import annotations

from dataclasses import replace

from fakes import asked

from engine.api.tickets import JobTicket
from engine.fake import MINI, FakeEngine
from engine.fleet import routing
from engine.fleet.members import FleetJob, Member
from engine.tasks import resolve

OTHER = replace(MINI, key="other")


class Empty(FakeEngine):
    """Has nothing in memory yet."""

    def status(self):  # type: ignore[no-untyped-def]
        return replace(super().status(), loaded=())


def job(number: int, model: str) -> FleetJob:
    info = {MINI.key: MINI, OTHER.key: OTHER}[model]
    request = resolve.complete(asked(model=model), info)
    return FleetJob(number, request, info, "1", 1.0, "fast", JobTicket(lambda: None))


async def test_what_comes_first_has_to_load_its_model() -> None:
    member = Member("card", Empty((MINI, OTHER)), loads={"other": 20.0}, models=(MINI, OTHER))
    first, second = job(1, "other"), job(2, "mini")
    member.held[1] = first
    rank = {1: 0, 2: 1}
    assert routing.wait_s(member, second, rank) >= 40.0  # its own model is taken to be as slow
    first.started = 1.0
    assert 20.0 <= routing.wait_s(member, second, rank) < 40.0
