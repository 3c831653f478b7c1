"""A clock that jumps by more than a day: not believed before it lasts, or Discord says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.store.clock import DAY_MS, LASTS_MS, ManualClock, SteadyClock
from bot.store.store import Store

MONTH_MS, MINUTE_MS = 31 * DAY_MS, 60_000


class Machine:
    """A machine's clock that can be set, and the time that it has been on."""

    def __init__(self, said: ManualClock | None = None) -> None:
        self.said, self.on_ms = said or ManualClock(), 5_000
        self.clock = SteadyClock(self.said, lambda: self.on_ms)

    def later(self, ms: int) -> None:
        self.on_ms += ms
        self.said.advance(ms / 1000)

    def set(self, ms: int) -> None:
        """Somebody sets the clock by so much."""
        self.said.advance(ms / 1000)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_time_goes_by_and_small_jumps_are_followed(machine: Machine) -> None:
    for set_ms in (0, 3_600_000, -7_200_000, 20 * 3_600_000):
        machine.later(MINUTE_MS)
        machine.set(set_ms)
        assert machine.clock.now_ms() == machine.said.now_ms()


@pytest.mark.parametrize("jump_ms", [MONTH_MS, -MONTH_MS, 2 * DAY_MS, -2 * DAY_MS])
def test_a_jump_is_believed_once_it_lasts(machine: Machine, jump_ms: int) -> None:
    before_ms = machine.clock.now_ms()
    machine.set(jump_ms)
    assert machine.clock.now_ms() == before_ms
    machine.later(LASTS_MS - 1)
    assert machine.clock.now_ms() == before_ms + LASTS_MS - 1, "time goes on meanwhile"
    machine.later(1)
    assert machine.clock.now_ms() == machine.said.now_ms()


@pytest.mark.parametrize("jump_ms", [MONTH_MS, -MONTH_MS])
def test_a_jump_that_is_taken_back_never_was(machine: Machine, jump_ms: int) -> None:
    for _ in range(3):
        machine.set(jump_ms)
        before_ms = machine.clock.now_ms()
        machine.later(LASTS_MS // 2)
        assert machine.clock.now_ms() == before_ms + LASTS_MS // 2
        machine.set(-jump_ms)
        assert machine.clock.now_ms() == machine.said.now_ms()


def test_what_discord_says_too_is_believed_at_once(machine: Machine) -> None:
    before_ms = machine.clock.now_ms()
    machine.set(MONTH_MS)
    assert machine.clock.now_ms() == before_ms
    machine.clock.witness(machine.said.now_ms() - 1_500)
    assert machine.clock.now_ms() == machine.said.now_ms()


def test_what_discord_contradicts_is_not_believed_however_long_it_lasts(machine: Machine) -> None:
    machine.set(MONTH_MS)
    machine.clock.witness(machine.said.now_ms() - MONTH_MS)
    for _ in range(3):
        machine.later(2 * LASTS_MS)
        assert machine.clock.now_ms() == machine.said.now_ms() - MONTH_MS
    machine.set(-MONTH_MS + 5_000)
    assert machine.clock.now_ms() == machine.said.now_ms(), "the clock was put right"


def test_discord_is_right_where_the_clock_has_always_been_wrong(machine: Machine) -> None:
    machine.clock.witness(machine.said.now_ms() + MONTH_MS)
    assert machine.clock.now_ms() == machine.said.now_ms() + MONTH_MS


@pytest.mark.parametrize("off_ms", [MONTH_MS, -MONTH_MS])
async def test_a_clock_that_was_set_while_nothing_ran_is_doubted_too(tmp_path: Path, off_ms: int) -> None:
    before = Machine()
    async with Store.open(tmp_path / "easel.db", before.clock) as store:
        await store.note_time()
    after = Machine()
    after.set(off_ms)
    async with Store.open(tmp_path / "easel.db", after.clock):
        assert after.clock.now_ms() == before.clock.now_ms()
        after.later(LASTS_MS)
        assert after.clock.now_ms() == after.said.now_ms()


async def test_a_night_off_is_no_jump(tmp_path: Path) -> None:
    before = Machine()
    async with Store.open(tmp_path / "easel.db", before.clock) as store:
        await store.note_time()
    after = Machine()
    after.set(12 * 3_600_000)
    async with Store.open(tmp_path / "easel.db", after.clock):
        assert after.clock.now_ms() == after.said.now_ms()
