"""Credits in words, and as people type them. Amounts are millicredits."""

from __future__ import annotations

from bot.errors import BadInput
from bot.languages.speech import ngettext, number
from bot.prompt.numbers import read_number
from bot.prompt.text import quoted

MAX_CREDITS = 1_000_000


def credits_text(amount_mc: int) -> str:
    """Millicredits as people read them: "4 credits", "0.5 credits", "1,200 credits"."""
    amount = amount_text(amount_mc)
    few = int(amount) if amount.isdecimal() else 2  # "0.5 credits"
    return ngettext("{amount} credit", "{amount} credits", few, amount=amount)


def amount_text(amount_mc: int) -> str:
    """The number alone, in hundredths; thousandths only where there is nothing else."""
    told_mc = amount_mc // 10 * 10 or amount_mc  # rounded down, or 0.999 would be told as enough for 1
    return number(f"{told_mc / 1000:,.3f}".rstrip("0").rstrip("."))


def typed_amount(amount_mc: int) -> str:
    """The exact number as somebody would type it, so that a form that isn't changed changes nothing."""
    return f"{amount_mc / 1000:.3f}".rstrip("0").rstrip(".")


def credits_mc(text: str, low: float = 0.0) -> int:
    """Credits as typed, in millicredits. Raises: BadInput."""
    number = read_number(text)
    if number is None or not low <= number <= MAX_CREDITS:
        raise BadInput(
            "{text} isn't a valid number of credits. Use {low:g} to {max_credits:,}.",
            text=quoted(text),
            low=low,
            max_credits=MAX_CREDITS,
        )
    return round(number * 1000)
