"""What kinds of limits there are: how one is typed, read, checked, said, stored and compared. Pure.

A limit is a descriptor: on a quota it gives its value or None (not said there), on terms its value. See `limits.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, Self, TypeVar, overload

from bot.config import Settings
from bot.errors import BadInput
from bot.languages.speech import N_, _, later, number
from bot.prompt.numbers import read_number, read_whole
from bot.prompt.text import quoted, shown

T = TypeVar("T")
ALL = frozenset({"*"})
YES, NO = ("on", "yes", "true"), ("off", "no", "false")


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a slash command: its text (at most 100 characters), type and range (of a text: its length)."""

    text: str
    kind: type[int] | type[float] | type[str] | type[bool]
    low: float = 0
    high: float = 0


class Known(Protocol):
    """The models and LoRAs that can be named."""

    def models(self, names: list[str]) -> frozenset[str]:
        """Their keys. Raises: BadInput."""
        ...

    def loras(self, names: list[str]) -> frozenset[str]:
        """Their keys. Raises: BadInput."""
        ...


class Values(Protocol):
    """Quotas and terms: the values of some limits by name."""

    @property
    def values(self) -> Mapping[str, Any]: ...


class Said(Values, Protocol):
    """Values that may be missing."""

    @property
    def partial(self) -> Literal[True]: ...


class Limit(ABC, Generic[T]):
    """One limit.

    Attributes:
        name: of the attribute. label: of its line in the admins' panel, at most 45 characters.
        hint: what stands in that line while it's empty, in the language that is spoken.
        options: of /admin quota, by name; subscriptions' fields have the same names.
        default: what holds where a server has set nothing.
        ceiling: the most that a server's admins may set, as the settings say; None = no ceiling.
        enforced: the module that holds members to it.
    """

    name: str = ""

    def __init__(
        self,
        label: str,
        about: str,
        *,
        default: Callable[[Settings], T],
        enforced: str,
        ceiling: Callable[[Settings], T | None] = lambda _: None,
    ) -> None:
        self.label, self.about, self.default, self.enforced, self.ceiling = label, about, default, enforced, ceiling

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...
    @overload
    def __get__(self, holder: Said, owner: type) -> T | None: ...
    @overload
    def __get__(self, holder: Values, owner: type) -> T: ...
    def __get__(self, holder: Values | None, owner: type) -> Any:
        return self if holder is None else holder.values.get(self.name)

    @property
    @abstractmethod
    def hint(self) -> str: ...

    @property
    @abstractmethod
    def options(self) -> Mapping[str, Option]: ...

    def from_options(self, given: Mapping[str, Any], known: Known | None) -> T | None:
        """The value among options that were given, None = none of them. Raises: BadInput."""
        value = given.get(self.name)
        return None if value is None else self.parse(value, known)

    @abstractmethod
    def parse(self, given: Any, known: Known | None = None) -> T:
        """What was typed, or a value of JSON; names are taken as they are where `known` is None. Raises: BadInput."""

    def typed(self, value: T) -> str:
        """The value as it could be typed."""
        return f"{value}"

    @abstractmethod
    def text(self, value: T) -> str:
        """The value in a few words of a list."""

    def better(self, one: T, other: T) -> T:
        """The more generous one."""
        numbers: Any = (one, other)  # and switches
        better: T = max(numbers)
        return better

    def lesser(self, value: T, other: T) -> T:
        """The value, or another one where that is less generous."""
        return other if self.better(value, other) == value else value

    def to_json(self, value: T) -> dict[str, Any]:
        """How it's stored, and noted in the audit log."""
        return {self.name: value}

    def from_json(self, stored: Mapping[str, Any]) -> T | None:
        value: T | None = stored.get(self.name)
        return value


class Count(Limit[int]):
    """A whole number within a range; `text` has a place for it."""

    def __init__(self, label: str, about: str, low: int, high: int, words: str, **rest: Any) -> None:
        super().__init__(label, about, **rest)
        self.low, self.high, self.words = low, high, words

    @property
    def hint(self) -> str:
        return _("{low} to {high}; empty: not set here", low=number(f"{self.low:,}"), high=number(f"{self.high:,}"))

    @property
    def options(self) -> Mapping[str, Option]:
        return {self.name: Option(self.about, int, self.low, self.high)}

    def parse(self, given: Any, known: Known | None = None) -> int:
        number = read_whole(f"{given}")
        if number is None or not self.low <= number <= self.high:
            raise BadInput(
                "{label} can't be {given}. Use {low:,} to {high:,}.",
                label=later(_, self.label),
                given=quoted(f"{given}"),
                low=self.low,
                high=self.high,
            )
        return number

    def text(self, value: int) -> str:
        return _(self.words, n=number(f"{value:,}"))


class Pixels(Count):
    """Width times height, typed as `1536x1536` or as the product."""

    @property
    def hint(self) -> str:
        return _("such as 1536x1536; empty: not set here")

    def parse(self, given: Any, known: Known | None = None) -> int:
        wide, times, high = f"{given}".lower().replace("×", "x").partition("x")
        if not times:
            return super().parse(given)
        sides = read_whole(wide), read_whole(high)
        if not all(side is not None and 64 <= side <= 8192 for side in sides):
            raise BadInput(
                "{given} isn't a valid size. Use sides of 64 to 8,192, such as 1536x1536.", given=quoted(f"{given}")
            )
        return super().parse((sides[0] or 0) * (sides[1] or 0))


class Factor(Limit[float]):
    """A number within a range, 1 = normal."""

    def __init__(self, label: str, about: str, low: float, high: float, words: str, **rest: Any) -> None:
        super().__init__(label, about, **rest)
        self.low, self.high, self.words = low, high, words

    @property
    def hint(self) -> str:
        low, high = number(f"{self.low:g}"), number(f"{self.high:g}")
        return _("{low} to {high}; 1 is normal; empty: not set here", low=low, high=high)

    @property
    def options(self) -> Mapping[str, Option]:
        return {self.name: Option(self.about, float, self.low, self.high)}

    def parse(self, given: Any, known: Known | None = None) -> float:
        number = read_number(f"{given}")
        if number is None or not self.low <= number <= self.high:
            raise BadInput(
                "{label} can't be {given}. Use {low:g} to {high:g}; 1 is normal.",
                label=later(_, self.label),
                given=quoted(f"{given}"),
                low=self.low,
                high=self.high,
            )
        return number

    def typed(self, value: float) -> str:
        return f"{value:g}"

    def text(self, value: float) -> str:
        return _(self.words, n=number(f"{value:g}"))


class Switch(Limit[bool]):
    """On or off, with words for both."""

    def __init__(self, label: str, about: str, words: tuple[str, str], **rest: Any) -> None:
        super().__init__(label, about, **rest)
        self.words = words

    @property
    def hint(self) -> str:
        return _("on or off; empty: not set here")

    @property
    def options(self) -> Mapping[str, Option]:
        return {self.name: Option(self.about, bool)}

    def parse(self, given: Any, known: Known | None = None) -> bool:
        word = f"{given}".strip().lower()
        if word not in YES + NO:
            refused, label = N_("{label} can't be {given}. Use on or off."), later(_, self.label)
            raise BadInput(refused, label=label, given=quoted(f"{given}"))
        return word in YES

    def typed(self, value: bool) -> str:
        return "on" if value else "off"

    def text(self, value: bool) -> str:
        return _(self.words[0] if value else self.words[1])

    def from_json(self, stored: Mapping[str, Any]) -> bool | None:
        value = stored.get(self.name)
        return None if value is None else bool(value)


class Names(Limit[frozenset[str]]):
    """A list of names; `*` = all.

    `words` are for none, for all and for some; `find` looks them up; `empty` says whether none at all is a choice.
    """

    def __init__(
        self,
        label: str,
        about: str,
        what: str,
        words: tuple[str, str, str],
        find: Callable[[Known, list[str]], frozenset[str]],
        *,
        empty: bool = False,
        **rest: Any,
    ) -> None:
        super().__init__(label, about, **rest)
        self.what, self.words, self.find, self.empty = what, words, find, empty

    @property
    def hint(self) -> str:
        if self.empty:
            return _("names, * for all, none for none; empty: not set here")
        return _("names, * for all; empty: not set here")

    @overload  # type: ignore[override]  # terms have None for all
    def __get__(self, holder: None, owner: type) -> Self: ...
    @overload
    def __get__(self, holder: Values, owner: type) -> frozenset[str] | None: ...
    def __get__(self, holder: Values | None, owner: type) -> Any:
        return self if holder is None else holder.values.get(self.name)

    @property
    def options(self) -> Mapping[str, Option]:
        return {self.name: Option(self.about, str, 0, 1000)}

    def parse(self, given: Any, known: Known | None = None) -> frozenset[str]:
        if isinstance(given, list | tuple | set | frozenset):
            return frozenset(f"{name}" for name in given)
        if not isinstance(given, str):
            raise BadInput("Name at least one of the {what}, or * for all.", what=later(_, self.what))
        if self.empty and given.strip().casefold() == "none":
            return frozenset()
        names = [name.strip() for name in given.split(",") if name.strip()]
        if not names:
            raise BadInput("Name at least one of the {what}, or * for all.", what=later(_, self.what))
        return frozenset(names) if known is None else self.find(known, names)

    def typed(self, value: frozenset[str]) -> str:
        return ", ".join(sorted(value)) or "none"

    def text(self, value: frozenset[str]) -> str:
        none, all_, some = self.words
        if not value or value >= ALL:
            return _(all_ if value else none)
        return _(some, names=", ".join(shown(name, 80) for name in sorted(value)))

    def better(self, one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
        return one | other

    def lesser(self, value: frozenset[str], other: frozenset[str]) -> frozenset[str]:
        if value >= ALL or other >= ALL:
            return other if value >= ALL else value
        return value & other

    def to_json(self, value: frozenset[str]) -> dict[str, Any]:
        return {self.name: sorted(value)}

    def from_json(self, stored: Mapping[str, Any]) -> frozenset[str] | None:
        value = stored.get(self.name)
        return None if value is None else frozenset(value)
