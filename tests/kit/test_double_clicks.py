"""A double click starts one thing."""

from bot.kit.interactions import DoubleClicks
from bot.store.clock import ManualClock


def test_a_double_click_counts_once() -> None:
    clock = ManualClock()
    clicks = DoubleClicks(clock)
    assert clicks.is_first("V2:10:5")
    assert not clicks.is_first("V2:10:5")
    assert clicks.is_first("V3:10:5")
    clock.advance(2)
    assert clicks.is_first("V2:10:5")


def test_each_key_has_the_window_it_was_noted_with() -> None:
    clock = ManualClock()
    clicks = DoubleClicks(clock)
    assert clicks.is_first("describe:5", window_ms=5000)
    clock.advance(3)
    assert clicks.is_first("V2:10:5")
    assert not clicks.is_first("describe:5", window_ms=5000)
