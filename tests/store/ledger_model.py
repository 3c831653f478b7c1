"""What the ledger is meant to do, in plain Python: purses of one person, and which job holds what of which."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bot.ledger.allowance import ends_ms, label_of
from bot.ledger.records import CreditChange

Period = Literal["day", "month"]


def change(user_id: int, amount_mc: int, reason: str, key: str, now_ms: int) -> CreditChange:
    """Credits moved by hand in server 1."""
    return CreditChange(user_id=user_id, guild_id=1, amount_mc=amount_mc, reason=reason, key=key, now_ms=now_ms)


@dataclass
class Free:
    """Free credits of one period."""

    label: str
    entitled: int
    carried: int
    left: int

    @property
    def granted(self) -> int:
        return max(0, self.entitled - self.carried)

    @property
    def used(self) -> int:
        return max(self.carried, self.entitled) - self.left


@dataclass
class Person:
    """One person's purses in one server; `used` survives an erasure."""

    free: list[Free] = field(default_factory=list)
    paid: int = 0
    used: dict[str, int] = field(default_factory=dict)

    def renew(self, amount: int, period: Period, now_ms: int) -> None:
        """Free credits as they are when something is asked for now."""
        label = label_of(period, now_ms)
        if self.free and ends_ms(self.free[-1].label) <= now_ms:
            self.free[-1].left = 0
        same = max((each for each in self.free if len(each.label) == len(label)), key=lambda f: f.label, default=None)
        if same is None or same.label < label:
            if amount:
                if self.free:
                    self.free[-1].left = 0
                carried = self.used.get(label, 0)
                self.free.append(Free(label, amount, carried, max(0, amount - carried)))
        elif same is self.free[-1] and amount > same.entitled:
            before, same.entitled = same.granted, amount
            same.left += same.granted - before

    @property
    def left(self) -> int:
        return (self.free[-1].left if self.free else 0) + self.paid

    def reserve(self, price: int) -> tuple[Free | None, int, int]:
        """Take a price: (free purse, of it, of the paid one)."""
        purse = self.free[-1] if self.free else None
        part = min(price, purse.left) if purse else 0
        if purse:
            purse.left -= part
        self.paid -= price - part
        return purse, part, price - part

    def erased(self, now_ms: int) -> Person:
        """Who comes back after deleting everything."""
        gone = {free.label: free.used for free in self.free if ends_ms(free.label) > now_ms}
        running = {label: used for label, used in self.used.items() if ends_ms(label) > now_ms}
        return Person(used=running | gone)


@dataclass
class Held:
    """What a job holds, or kept, of which purses."""

    user: int
    person: Person
    state: str
    purse: Free | None
    free: int
    paid: int

    def give_back(self, free: int, paid: int) -> None:
        if self.purse:
            self.purse.left += free
        self.person.paid += paid
        self.free, self.paid = self.free - free, self.paid - paid

    def end(self) -> None:
        self.give_back(self.free, self.paid)
        self.state = "ended"
