"""Who is served next, and how many rows at once: pure arithmetic on measured seconds. Knows no torch, no threads.

Every member with work has a right to an equal part of the device, by weight. A job is due when its member would have
got it done with that part, if one member more had work than there is; that one's part is what may be given away. So
long as all will be on time, others may go first: a shorter job overtakes those that came up to `OVERTAKES` times the
difference before it, which holds up the long ones little and spares the short ones most of their waiting. When the
last moment has come for somebody, the one who is due first is served.

So no job takes longer than (members with work + 1) x its own length, and one step of somebody else's that was under way
when it came. Its own length is all that its member has queued by then, and has had ahead of the others; a member who
left ahead of the others counts among those with work until their part has made up for it.

That works because whoever comes brings as much time as work: their part makes everybody else's smaller. The clock of
parts is that of WF2Q+ (Bennett and Zhang 1997), which saves nothing up for those who were away, and holds nothing
against those whom nobody waited for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.api.errors import InvalidRequest

RELAX_SHARE = 0.1  # of a fast account's weight: served when fast is idle, and a tenth of the device when it is not
OVERTAKES = 7.0  # seconds that a job gains on others for each second that it is shorter
AHEAD = 3.0  # times the longest job's seconds: whoever had so much more than others waits until they had theirs
KNEE_GAIN = 1.1  # a doubling of the rows must raise rows per second by this much to be worth it
PAD_GAIN = 1.5  # padded rows are paid by lonely jobs too, so they must bring more
SMOOTHING = 0.3  # weight of the newest measurement
ROUNDING = 1e-9  # seconds

LANES = ("fast", "relax")


def check_share(lane: str, weight: float) -> None:
    """Raises: InvalidRequest."""
    if lane not in LANES or weight <= 0:
        raise InvalidRequest("The lane or the weight is wrong.", f"Lanes: {', '.join(LANES)}; weights above 0.")


class Work(NamedTuple):
    """A job's device seconds, as far as they are known: in all, and still to go."""

    length_s: float
    left_s: float


@dataclass(eq=False, slots=True)
class _Account:
    """One user in one lane. `served`: the time on the clock of parts up to which they had theirs."""

    lane: str
    weight: float
    served: float
    jobs: int = 0


@dataclass(eq=False, slots=True)
class _Entry:
    """An open job. `at`: device seconds when it came. `passed`: parts that its user's later jobs were given since."""

    number: int
    account: _Account
    at: float
    passed: float = 0.0


@dataclass(slots=True)
class FairShare:
    """Orders jobs, which are known by their numbers.

    `enter` when a job arrives, `leave` when it ends, `charge` after every call with the device seconds it took.
    """

    seconds: float = 0.0  # that the device has worked
    _clock: float = 0.0  # seconds by weight that everybody with work has a right to by now
    _accounts: dict[tuple[str, str], _Account] = field(default_factory=dict)
    _entries: dict[int, _Entry] = field(default_factory=dict)

    def enter(self, number: int, user: str, lane: str, weight: float) -> None:
        share = weight * (RELAX_SHARE if lane == "relax" else 1.0)
        account = self._accounts.setdefault((user, lane), _Account(lane, share, self._clock))
        if account.jobs == 0:
            account.served = max(account.served, self._clock)  # idle time earns no credit
        self._weigh(account, share)
        account.jobs += 1
        self._entries[number] = _Entry(number, account, self.seconds)

    def _weigh(self, account: _Account, weight: float) -> None:
        """Give an account another weight; what it had more or less than its part stays the same in seconds."""
        if weight == account.weight:
            return
        scale, account.weight = account.weight / weight, weight
        account.served = self._clock + (account.served - self._clock) * scale
        for each in self._entries.values():
            each.passed *= scale if each.account is account else 1.0

    def leave(self, number: int) -> None:
        self._entries.pop(number).account.jobs -= 1
        self._forget()

    def charge(self, spent: Mapping[int, float]) -> None:
        """The jobs had so many seconds of the device each, whether in turn or at once on several."""
        if not spent:
            return
        given: dict[int, list[tuple[int, float]]] = {}
        whole = _whole([each.weight for each in self._accounts.values() if self._counts(each)])
        for number, seconds in spent.items():
            account = self._entries[number].account
            given.setdefault(id(account), []).append((number, seconds / account.weight))
            account.served += seconds / account.weight
            self.seconds += seconds
        least = math.inf
        for each in self._entries.values():
            for number, part in given.get(id(each.account), ()):
                each.passed += part if each.number < number else 0.0
            least = min(least, each.account.served - each.passed)
        self._clock = max(self._clock + sum(spent.values()) / whole, least)

    @property
    def members(self) -> int:
        """How many have a part of the device now."""
        return sum(map(self._counts, self._accounts.values()))

    def ahead_s(self, number: int) -> float:
        """Device seconds by which the job's member is ahead of the others; below 0 = behind."""
        account = self._entries[number].account
        return (account.served - self._clock) * account.weight

    def order(self, work: Mapping[int, Work], step_s: float) -> list[int]:
        """All open jobs, the one to be served now first. `step_s`: the longest step's seconds."""
        if not work:
            return []
        lead = AHEAD * max(each.length_s for each in work.values())

        def rank(entry: _Entry) -> tuple[bool, int, float, int]:
            lane, overtaken = LANES.index(entry.account.lane), entry.at + OVERTAKES * work[entry.number].length_s
            return self.ahead_s(entry.number) > lead, lane, overtaken, entry.number

        ranked = sorted(self._entries.values(), key=rank)
        urgent = self._urgent(ranked, work, step_s)
        if urgent is not None:
            ranked.remove(urgent)
            ranked.insert(0, urgent)
        return [entry.number for entry in ranked]

    def _urgent(self, ranked: Sequence[_Entry], work: Mapping[int, Work], step_s: float) -> _Entry | None:
        """The job that is due first, when somebody would be late if another one were served for a step."""
        ends = {id(account): account.served for account in self._accounts.values()}
        queued = dict.fromkeys(ends, 0.0)
        due: list[tuple[float, _Entry]] = []
        for entry in self._entries.values():  # a member's own jobs are due in the order they came
            own = id(entry.account)
            queued[own] += work[entry.number].left_s / entry.account.weight
            due.append((entry.account.served - entry.passed + queued[own], entry))
            ends[own] = max(ends[own], due[-1][0])
        due.sort(key=lambda each: (each[0], each[1].number))
        calendar = _Calendar(self._clock, [(ends[id(a)], a.weight) for a in self._accounts.values()])
        sum_s, counted = 0.0, False
        for at, entry in due:
            sum_s += work[entry.number].left_s
            counted = counted or entry is ranked[0]
            if sum_s + (0.0 if counted else step_s) > calendar.seconds_until(at) + ROUNDING:
                return due[0][1]
        return None

    def _counts(self, account: _Account) -> bool:
        """Whether an account has a part of the device now: it has work, or had some ahead of its time."""
        return account.jobs > 0 or account.served > self._clock

    def _forget(self) -> None:
        """Drop idle accounts that owe nothing, so that a year of strangers costs no memory; all when nobody waits."""
        self._accounts = {key: each for key, each in self._accounts.items() if self._entries and self._counts(each)}


class _Calendar:
    """When the clock of parts will have come to a time, in device seconds from now, if nobody comes.

    Args:
        clock: its time now. parts: (time when it ends, weight) of each account's part of the device.
    """

    def __init__(self, clock: float, parts: Sequence[tuple[float, float]]) -> None:
        self._clock, self._seconds = clock, 0.0
        self._parts = sorted(parts)
        self._next = 0
        self._weight = sum(weight for _, weight in parts)
        self._heaviest = [0.0] * (len(parts) + 1)  # of this part and those that end later
        for i in range(len(parts) - 1, -1, -1):
            self._heaviest[i] = max(self._parts[i][1], self._heaviest[i + 1])

    def seconds_until(self, time: float) -> float:
        """To be asked for one time after another, none before the last."""
        while self._next < len(self._parts) and self._parts[self._next][0] <= time:
            self._go_to(self._parts[self._next][0])
            self._weight -= self._parts[self._next][1]
            self._next += 1
        if self._next < len(self._parts):
            self._go_to(time)
        return self._seconds

    def _go_to(self, time: float) -> None:
        if time > self._clock:
            self._seconds += (time - self._clock) * (self._weight + self._heaviest[self._next])
            self._clock = time


def _whole(weights: Sequence[float]) -> float:
    """What the parts are parts of: everybody's weight, and that of one more."""
    return sum(weights) + max(weights)


@dataclass(slots=True)
class BatchCurve:
    """Seconds by row count of one kind of call; tells how many rows are worth joining."""

    limit: int  # rows; lowered for good when memory runs out
    _seconds: dict[int, float] = field(default_factory=dict)

    def observe(self, rows: int, seconds: float) -> None:
        """Take in one measurement. The first of a row count includes warming up, so the second replaces it."""
        old = self._seconds.get(rows)
        self._seconds[rows] = seconds if old is None or seconds < old else old + SMOOTHING * (seconds - old)

    def lower(self, rows: int) -> None:
        """Never again as many as `rows`: they did not fit into memory."""
        self.limit = max(1, min(self.limit, rows - 1))

    def cap(self, own: int, gain: float = KNEE_GAIN) -> int:
        """Rows to join when one job brings `own`: doubled while that pays, or is not yet known."""
        rows = own
        while rows * 2 <= self.limit:
            single, double = self._seconds.get(rows), self._seconds.get(rows * 2)
            if single is not None and double is not None and (2 * single) / double < gain:
                return rows
            rows *= 2
            if double is None:
                return rows  # one step into the unknown at a time
        return rows


@dataclass(slots=True)
class StepTimes:
    """Seconds per image and denoiser call, by model and size; predicts what was not measured from what was."""

    _seconds: dict[tuple[str, int], float] = field(default_factory=dict)

    def observe(self, model: str, pixels: int, seconds: float) -> None:
        """`pixels`: of all rows of one image, so guidance counts double."""
        old = self._seconds.get((model, pixels))
        self._seconds[model, pixels] = seconds if old is None else old + SMOOTHING * (seconds - old)

    def seconds(self, model: str, pixels: int) -> float | None:
        """Seconds of one call; None before anything of that model was measured."""
        found = self._seconds.get((model, pixels))
        if found is not None:
            return found
        kin = [(abs(p - pixels), p, s) for (m, p), s in list(self._seconds.items()) if m == model]
        if not kin:
            return None
        _, near, seconds = min(kin)
        return seconds * pixels / near
