"""The table of limits: a row each, from which options, forms, texts, subscriptions and storage are made. Pure.

A new limit is a row here and the line that holds members to it (docs/architecture.md, "Add a limit").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

from bot.config import Settings
from bot.errors import BadInput
from bot.languages.speech import N_, _, later
from bot.ledger.credit_limits import Allowance, CreditsADay, FreeCredits, Period
from bot.ledger.limit_kinds import ALL, Count, Factor, Known, Limit, Names, Pixels, Switch
from bot.ledger.records import Limits
from engine.tasks.txt2img import MAX_STEPS

OTHERS = 4  # one member has a quarter of the engine's jobs at most, if nothing else is set
MAX_PIXELS = 8192 * 8192


class MemberLimits:
    """What a role or a member is allowed. The order is that of options, texts and the panel."""

    __slots__ = ()

    allowance = FreeCredits(
        N_("Free credits"),
        N_("Free credits"),
        default=lambda settings: Allowance(amount_mc=settings.credits_a_day * 1000),
        ceiling=lambda settings: Allowance(amount_mc=most * 1000) if (most := settings.max_credits_a_day) else None,
        enforced="bot.ledger.allowance",
    )
    max_running = Count(
        N_("Jobs running at once"),
        "Jobs that can run at once",
        1,
        64,
        N_("{n} running at once"),
        default=lambda settings: max(1, settings.max_running // OTHERS),  # room for others, whoever floods the queue
        ceiling=lambda settings: settings.max_running,
        enforced="bot.jobs.queue",
    )
    max_queued = Count(
        N_("Jobs queued or running"),
        "Jobs that can be queued or running at once",
        1,
        1000,
        N_("{n} queued or running"),
        default=lambda settings: settings.max_queued,
        enforced="bot.jobs.lifecycle",
    )
    max_pixels = Pixels(
        N_("Largest image"),
        "Largest image: width times height",
        4096,
        MAX_PIXELS,
        N_("up to {n} pixels"),
        default=lambda settings: settings.max_pixels,
        ceiling=lambda settings: settings.max_pixels,
        enforced="bot.orders.drafts",
    )
    max_steps = Count(
        N_("Most steps"),
        "Most steps of an image",
        1,
        MAX_STEPS,
        N_("up to {n} steps"),
        default=lambda settings: settings.max_steps,
        ceiling=lambda settings: settings.max_steps,
        enforced="bot.orders.drafts",
    )
    models = Names(
        N_("Models"),
        "Models that can be used, separated by commas; * for all",
        N_("models"),
        (N_("no models"), N_("all models"), N_("models {names}")),
        lambda known, names: known.models(names),
        default=lambda _: ALL,
        enforced="bot.orders.drafts",
    )
    loras = Names(
        N_("LoRAs"),
        "LoRAs that can be used, separated by commas; * for all, none for none",
        N_("LoRAs"),
        (N_("no LoRAs"), N_("all LoRAs"), N_("LoRAs {names}")),
        lambda known, names: known.loras(names),
        empty=True,
        default=lambda _: ALL,
        enforced="bot.orders.drafts",
    )
    weight = Factor(
        N_("Weight in the queue"),
        "Share of the queue against other members; 1 is normal",
        0.1,
        100.0,
        N_("weight {n}"),
        default=lambda _: 1.0,
        ceiling=lambda settings: settings.max_weight,
        enforced="bot.jobs.queue",
    )
    relax = Switch(
        N_("Relax lane"),
        "Out of credits: keep generating for free, more slowly",
        (N_("relax lane on"), N_("relax lane off")),
        default=lambda settings: settings.relax,
        enforced="bot.jobs.lifecycle",
    )


class ServerLimits:
    """What holds for a whole server, or for each of its members alike."""

    __slots__ = ()

    cap = CreditsADay(
        N_("Credits everyone together can spend a day"),
        "Credits that all members together can spend a day; 0 = no cap",
        "server_credits_a_day",
        "server_mc_a_day",
        (N_("**The whole server** can spend {credits} a day"), N_("No daily cap")),
        default=lambda _: 0,
        enforced="bot.jobs.lifecycle",
    )
    gifts = CreditsADay(
        N_("Credits a member can /gift a day"),
        "Credits a member can give away a day with /gift; 0 = /gift is off",
        "gifts_a_day",
        "gifts_mc_a_day",
        (N_("/gift: up to {credits} a day"), N_("/gift is off")),
        default=lambda _: 0,
        enforced="bot.ledger.accounts",
    )


def _rows(table: type) -> dict[str, Limit[Any]]:
    return {name: row for name, row in vars(table).items() if isinstance(row, Limit)}


MEMBER_LIMITS = _rows(MemberLimits)
SERVER_LIMITS = _rows(ServerLimits)


class _Record:
    """Values of a table's limits by name: frozen, equal by value; None is not kept."""

    __slots__ = ("values",)
    values: Mapping[str, Any]
    rows: Mapping[str, Limit[Any]]

    def __init__(self, **values: Any) -> None:
        if unknown := values.keys() - self.rows.keys():
            raise TypeError(f"no limit is called {', '.join(sorted(unknown))}")
        object.__setattr__(self, "values", {name: value for name, value in values.items() if value is not None})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.values == other.values

    def __hash__(self) -> int:
        return hash(frozenset(self.values.items()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.values.items())})"


class _Partial(_Record):
    """Some of a table's limits; what isn't set is None."""

    __slots__ = ()

    @property
    def partial(self) -> Literal[True]:
        return True

    @classmethod
    def from_options(cls, given: Mapping[str, Any], known: Known | None) -> Self:
        """What options of a command, or fields of a subscription, set. Raises: BadInput."""
        return cls(**{name: row.from_options(given, known) for name, row in cls.rows.items()})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(**{name: row.from_json(stored) for name, row in cls.rows.items()})

    def to_json(self) -> dict[str, Any]:
        """For the database and the audit log; what isn't set is left out."""
        return {
            key: each for name, value in self.values.items() for key, each in self.rows[name].to_json(value).items()
        }

    def overlaid(self, over: Self) -> Self:
        """`over` where it sets something, else this."""
        return type(self)(**{**self.values, **over.values})

    def within(self, ceilings: Self) -> Self:
        """The same, with what is above its ceiling lowered to it."""
        low = {
            name: self.rows[name].lesser(self.values[name], most)
            for name, most in ceilings.values.items()
            if name in self.values
        }
        return type(self)(**{**self.values, **low})

    def check_within(self, ceilings: Self) -> None:
        """Raises: BadInput, naming what is above its ceiling."""
        lowered = self.within(ceilings)
        for name, value in lowered.values.items():
            if value != self.values[name]:
                row = self.rows[name]
                raise BadInput(
                    "{label} can't be {typed}. Those who run this bot allow up to {typed2}.",
                    label=later(_, row.label),
                    typed=row.typed(self.values[name]),
                    typed2=row.typed(value),
                )

    def changed(self, typed: Mapping[str, str], known: Known) -> Self:
        """With what a form's lines say, by the limits' names; an empty line sets nothing. Raises: BadInput."""
        read = {name: self.rows[name].parse(text, known) if text.strip() else None for name, text in typed.items()}
        return type(self)(**{**self.values, **read})

    def texts(self) -> list[str]:
        """What is set, in a few words each, in the table's order."""
        return [row.text(self.values[name]) for name, row in self.rows.items() if name in self.values]


class Quota(_Partial, MemberLimits):
    """What a role or a member is allowed; None = not set here. `models` and `loras` hold `*` when all are."""

    __slots__ = ()
    rows = MEMBER_LIMITS


class Budget(_Partial, ServerLimits):
    """What a server has set for itself; 0 and None both mean none."""

    __slots__ = ()
    rows = SERVER_LIMITS


class Terms(_Record, MemberLimits):
    """What a member is allowed in a server, every limit set; `models` and `loras` are None when all are allowed.

    Attributes:
        server_cap_mc: most millicredits that the server may spend a day; None = no cap.
        purse: in direct messages, the server whose credits are spent; None = those of the place itself.
    """

    __slots__ = ("purse", "server_cap_mc")
    rows = MEMBER_LIMITS
    server_cap_mc: int | None
    purse: int | None

    def __init__(self, *, server_cap_mc: int | None = None, purse: int | None = None, **values: Any) -> None:
        super().__init__(**values)
        object.__setattr__(self, "server_cap_mc", server_cap_mc)
        object.__setattr__(self, "purse", purse)

    def paid_in(self, guild_id: int) -> int:
        """The server whose credits are spent by who is in this one."""
        return guild_id if self.purse is None else self.purse

    @property
    def allowance_mc(self) -> int:
        return self.allowance.amount_mc

    @property
    def period(self) -> Period:
        return self.allowance.period

    def limits(self, settings: Settings) -> Limits:
        """What the store holds new jobs to; the settings' limits are for everybody together."""
        return Limits(
            max_queued=self.max_queued,
            max_queue=settings.max_queue,
            max_server_queue=settings.max_server_queue,
            max_running=self.max_running,
            weight=self.weight,
            relax=self.relax,
            period=self.period,
            server_cap_mc=self.server_cap_mc,
            purse=self.purse,
        )


def default_quota(settings: Settings) -> Quota:
    """What holds where a server has set nothing; every limit is set."""
    return Quota(**{name: row.default(settings) for name, row in MEMBER_LIMITS.items()})


def ceilings(settings: Settings) -> Quota:
    """The most that a server's admins may set."""
    return Quota(**{name: row.ceiling(settings) for name, row in MEMBER_LIMITS.items()})


def default_terms(settings: Settings) -> Terms:
    """The settings' own terms."""
    return terms_of(default_quota(settings), None)


def terms_of(quota: Quota, server_cap_mc: int | None) -> Terms:
    """Terms of a quota whose every limit is set."""
    kept = {name: value for name, value in quota.values.items() if not (isinstance(value, frozenset) and value >= ALL)}
    return Terms(server_cap_mc=server_cap_mc, **kept)


def quota_of(terms: Terms) -> Quota:
    """The quota that says what terms do."""
    return Quota(**{name: terms.values.get(name, ALL) for name in MEMBER_LIMITS})


def strictest(home: Terms, others: Iterable[Terms], purse: int) -> Terms:
    """Limit by limit the least of several servers' terms; the allowance is that of `home`, whose purse is spent."""
    quota = quota_of(home)
    for each in others:
        quota = quota.within(Quota(**{**quota_of(each).values, "allowance": home.allowance}))
    least = terms_of(quota, home.server_cap_mc)
    return Terms(server_cap_mc=home.server_cap_mc, purse=purse, **least.values)


def most_generous(base: Quota, more: Iterable[Quota]) -> Quota:
    """Limit by limit the best of several; an allowance is worth what it gives in a month, lists add up."""
    best = dict(base.values)
    for other in more:
        for name, value in other.values.items():
            best[name] = MEMBER_LIMITS[name].better(best[name], value) if name in best else value
    return Quota(**best)
