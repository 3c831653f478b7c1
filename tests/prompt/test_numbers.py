"""Numbers are read as people write them, and nothing else is a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import BadInput
from bot.ledger.amounts import MAX_CREDITS, credits_mc
from bot.ledger.credit_limits import Allowance
from bot.ledger.limits import MEMBER_LIMITS
from bot.prompt.numbers import read_number, read_whole


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        (" 7.5 ", 7.5),
        ("7,5", 7.5),
        ("0,5", 0.5),
        ("1,000", 1000),
        ("1,000,000", 1_000_000),
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("1 000", 1000),
        ("1\u202f000", 1000),
        ("1'000", 1000),
        ("1_000", 1000),
        ("１，０００", 1000),
        ("1.000", 1),
        ("1000000", 1_000_000),
    ],
)
def test_numbers_are_read(text: str, number: float) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "nan", "inf", "1e9", "1,00,0", "1,000 000", "1..5", "1,5,0", "٣", "x", "9" * 25]
)
def test_nothing_else_is_a_number(text: str) -> None:
    assert read_number(text) is None


@given(st.integers(min_value=0, max_value=10**12))
def test_thousands_may_be_grouped(number: int) -> None:
    assert read_whole(f"{number:,}") == read_whole(f"{number:_}") == read_whole(f"{number}") == number


@given(st.text(max_size=30))
def test_any_text_can_be_read(text: str) -> None:
    read_number(text)


def test_credits_and_limits_are_read_alike() -> None:
    assert credits_mc("1,000") == 1_000_000
    assert credits_mc("0,5") == 500
    assert MEMBER_LIMITS["max_pixels"].parse("1,000 × 1,000") == 1_000_000
    assert MEMBER_LIMITS["max_queued"].parse("1,000") == 1000
    assert MEMBER_LIMITS["weight"].parse("2,5") == 2.5
    for text in ("1,000 a month", "1 000 credits per month", "1000/month"):
        assert MEMBER_LIMITS["allowance"].parse(text) == Allowance(amount_mc=1_000_000, period="month")
    assert MEMBER_LIMITS["allowance"].parse("1,000") == Allowance(amount_mc=1_000_000, period="day")
    for text in ("a day", "100 a week", "many", f"{MAX_CREDITS + 1:,}"):
        with pytest.raises(BadInput):
            MEMBER_LIMITS["allowance"].parse(text)
