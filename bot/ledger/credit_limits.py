"""Limits of credits: free ones by the day or the month, and those that may be spent or given a day. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bot.errors import BadInput
from bot.languages.speech import _
from bot.ledger.amounts import MAX_CREDITS, credits_mc, credits_text, typed_amount
from bot.ledger.limit_kinds import Known, Limit, Option
from bot.prompt.text import quoted

Period = Literal["day", "month"]
DAYS: dict[Period, int] = {"day": 30, "month": 1}  # how many periods a month has, for comparing allowances
ALLOWANCE = re.compile(r"(?P<amount>[^a-z/]{1,30})(?:credits? *)?(?:(?:a|per|each|/)? *(?:days?|(?P<month>months?)))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Free credits: so many millicredits each period (UTC)."""

    amount_mc: int
    period: Period = "day"


class FreeCredits(Limit[Allowance]):
    """Free credits by the day or by the month; two options, one line of the panel."""

    @property
    def hint(self) -> str:
        return _("such as 100 a day, or 500 a month; empty: not set here")

    @property
    def options(self) -> Mapping[str, Option]:
        return {
            "credits_a_day": Option(f"{self.about} a day", int, 0, MAX_CREDITS),
            "credits_a_month": Option(f"Instead: {self.about[0].lower()}{self.about[1:]} a month", int, 0, MAX_CREDITS),
        }

    def from_options(self, given: Mapping[str, Any], known: Known | None) -> Allowance | None:
        day, month = given.get("credits_a_day"), given.get("credits_a_month")
        if day is not None and month is not None:
            raise BadInput("Free credits are either a day or a month. Use credits_a_day or credits_a_month, not both.")
        if day is not None:
            return Allowance(amount_mc=credits_mc(f"{day}"), period="day")
        return None if month is None else Allowance(amount_mc=credits_mc(f"{month}"), period="month")

    def parse(self, given: Any, known: Known | None = None) -> Allowance:
        said = ALLOWANCE.fullmatch(f"{given}".strip().lower())
        if said is None:
            raise BadInput("{given} isn't a valid allowance. Try 100 a day, or 500 a month.", given=quoted(f"{given}"))
        return Allowance(amount_mc=credits_mc(said["amount"]), period="month" if said["month"] else "day")

    def typed(self, value: Allowance) -> str:
        return f"{typed_amount(value.amount_mc)} a {value.period}"

    def text(self, value: Allowance) -> str:
        credits = credits_text(value.amount_mc)
        return (
            _("{credits} a day", credits=credits) if value.period == "day" else _("{credits} a month", credits=credits)
        )

    def better(self, one: Allowance, other: Allowance) -> Allowance:
        """Worth what it gives in a month."""
        return max(one, other, key=lambda each: each.amount_mc * DAYS[each.period])

    def lesser(self, value: Allowance, other: Allowance) -> Allowance:
        """In the value's own period."""
        most_mc = other.amount_mc * DAYS[other.period] // DAYS[value.period]
        return Allowance(amount_mc=min(value.amount_mc, most_mc), period=value.period)

    def to_json(self, value: Allowance) -> dict[str, Any]:
        return {"allowance_mc": value.amount_mc, "period": value.period}

    def from_json(self, stored: Mapping[str, Any]) -> Allowance | None:
        amount_mc = stored.get("allowance_mc")
        return None if amount_mc is None else Allowance(amount_mc=amount_mc, period=stored["period"])


class CreditsADay(Limit[int]):
    """Millicredits a day (UTC), typed as credits; 0 = none, as `words` without it say."""

    def __init__(self, label: str, about: str, option: str, stored: str, words: tuple[str, str], **rest: Any) -> None:
        super().__init__(label, about, **rest)
        self.option, self.stored, self.words = option, stored, words

    @property
    def hint(self) -> str:
        return _("empty: {none}", none=_(self.words[1]))

    @property
    def options(self) -> Mapping[str, Option]:
        return {self.option: Option(self.about, int, 0, MAX_CREDITS)}

    def from_options(self, given: Mapping[str, Any], known: Known | None) -> int | None:
        value = given.get(self.option)
        return None if value is None else self.parse(value)

    def parse(self, given: Any, known: Known | None = None) -> int:
        return credits_mc(f"{given}")

    def typed(self, value: int) -> str:
        return typed_amount(value) if value else ""

    def text(self, value: int) -> str:
        return _(self.words[0], credits=credits_text(value)) if value else _(self.words[1])

    def to_json(self, value: int) -> dict[str, Any]:
        return {self.stored: value or None}

    def from_json(self, stored: Mapping[str, Any]) -> int | None:
        value: int | None = stored.get(self.stored)
        return value
