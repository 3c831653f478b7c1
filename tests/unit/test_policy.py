"""What is learned from measured seconds: how many rows to join, and how long steps take."""

from __future__ import annotations

from engine.runtime.policy import BatchCurve, StepTimes


def test_the_knee_doubles_while_that_pays() -> None:
    knee = BatchCurve(limit=16)
    assert knee.cap(2) == 4  # unknown: try one doubling
    for rows, seconds in ((2, 1.0), (4, 1.1), (8, 2.1), (4, 1.1)):
        knee.observe(rows, seconds)
    assert knee.cap(2) == 4  # eight rows take as long as two fours
    knee.lower(4)
    assert knee.cap(2) == 2


def test_pace_predicts_unknown_sizes_from_known_ones() -> None:
    pace = StepTimes()
    assert pace.seconds("mini", 100) is None
    pace.observe("mini", 100, 1.0)
    assert pace.seconds("mini", 400) == 4.0
    assert pace.seconds("other", 100) is None
