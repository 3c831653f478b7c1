"""Credits are told in one way, wherever they are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.ledger.amounts import amount_text, credits_mc, credits_text, typed_amount

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("amount_mc", "told"),
    [
        (1000, "1 credit"),
        (16_123, "16.12 credits"),
        (37_137, "37.13 credits"),
        (999, "0.99 credits"),
        (3, "0.003 credits"),
    ],
)
def test_credits_are_rounded_down_to_hundredths(amount_mc: int, told: str) -> None:
    assert credits_text(amount_mc) == told
    assert amount_text(amount_mc) == told.split()[0]


def test_thousands_are_told_with_commas_and_a_form_keeps_every_digit() -> None:
    assert credits_text(1_234_567_000) == "1,234,567 credits"
    assert [credits_mc(typed_amount(mc)) for mc in (1, 16_123, 1_000_000_000)] == [1, 16_123, 1_000_000_000]


def test_no_sentence_rounds_credits_by_itself() -> None:
    told = re.compile(r"\{[^{}]*(?:_mc|price|left|charged)[^{}]* / 1000\b")
    found = [path for path in (ROOT / "bot").rglob("*.py") if told.search(path.read_text("utf-8"))]
    assert [path.name for path in found] == ["amounts.py"]
