"""Charts: round steps, numbers that fit, a picture for any figures."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from bot.features.stats import charts
from bot.features.stats.store import Day, Figures


@given(st.floats(min_value=0, max_value=1e9, allow_nan=False))
@example(1.0)
@example(4.004)
@example(10.0)
def test_ticks_are_few_and_reach_the_top(most: float) -> None:
    ticks = charts.nice_ticks(most)
    assert 2 <= len(ticks) <= 6
    assert ticks[0] == 0
    assert ticks[-1] >= most * 0.999
    assert most < 1 or all(tick == int(tick) for tick in ticks)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.5, "0.5"), (7, "7"), (950, "950"), (1234, "1.2k"), (36_000, "36k"), (2e6, "2M")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert charts.compact(value) == text


@pytest.mark.parametrize("days", [1, 2, 90])
def test_any_figures_make_a_picture(days: int) -> None:
    each = [Day(day=20_000 + n, images=n, members=n % 3, wait_ms=n * 10 or None, refusals=n) for n in range(days)]
    figures = Figures(days=tuple(each), total=Day(day=20_000), refusals=tuple((f"code_{n}", 9) for n in range(20)))
    with Image.open(io.BytesIO(charts.stats(figures))) as image:
        assert image.width == 1200
