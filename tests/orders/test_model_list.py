"""The engine is asked for its models once a second at most, and what is new is seen after that."""

from __future__ import annotations

from bot.orders.model_list import ModelList
from bot.store.clock import ManualClock
from engine.api.model_info import ModelInfo
from engine.fake import MINI


def test_the_engine_is_asked_once_and_a_new_model_is_seen_a_second_later() -> None:
    clock, asked = ManualClock(), []
    models = [MINI]

    def ask() -> tuple[ModelInfo, ...]:
        asked.append(clock.now_ms())
        return tuple(models)

    listed = ModelList(ask, clock)
    assert [listed() for _ in range(12)] == [(MINI,)] * 12
    assert len(asked) == 1
    models.append(MINI)
    clock.advance(1)
    assert len(listed()) == 2
    clock.advance(-3600)  # a clock that was put back keeps nothing stale
    models.pop()
    assert len(listed()) == 1
