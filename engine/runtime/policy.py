"""Who is served next, and how many rows at once: pure arithmetic on measured seconds. Knows no torch, no threads.

Shortest remaining first gives the best waiting times but lets a busy member starve the others, fair shares alone make
short jobs wait for long ones. So shortest-first rules as long as everybody is within `SLACK_S` of their fair share;
who has fallen further behind goes first, who is further ahead goes last. (Virtual time as in weighted fair queueing,
Demers, Keshav and Shenker 1989.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

SLACK_S = 15.0  # device seconds; several pictures on a GPU, about one on a CPU
RELAX_SHARE = 0.1  # of a fast account's weight: served when fast is idle, and a tenth of the device when it is not
KNEE_GAIN = 1.1  # a doubling of the rows must raise rows per second by this much to be worth it
PAD_GAIN = 1.5  # padded rows are paid by lonely jobs too, so they must bring more
SMOOTHING = 0.3  # weight of the newest measurement

BEHIND, LEVEL, AHEAD = range(3)
LANES = ("fast", "relax")
Rank = tuple[int, float, float, int]


@dataclass(slots=True)
class _Account:
    """What one user has got in one lane. `served`: weighted seconds. `jobs`: waiting or running now."""

    weight: float
    served: float = 0.0
    jobs: int = 0


@dataclass(slots=True)
class FairShare:
    """Ranks jobs; smaller ranks are served first.

    `enter` when a job arrives, `leave` when it ends, `charge` after every call with the device seconds it took.
    """

    slack_s: float = SLACK_S
    _accounts: dict[tuple[str, str], _Account] = field(default_factory=dict)
    _clock: float = 0.0  # weighted seconds that everybody active has a right to
    _active: float = 0.0  # sum of the active accounts' weights

    def enter(self, user: str, lane: str, weight: float) -> None:
        share = weight * (RELAX_SHARE if lane == "relax" else 1.0)
        account = self._accounts.setdefault((user, lane), _Account(share, self._clock))
        if account.jobs == 0:
            account.weight = share
            account.served = max(account.served, self._clock)  # idle time earns no credit
            self._active += share
        account.jobs += 1

    def leave(self, user: str, lane: str) -> None:
        account = self._accounts[user, lane]
        account.jobs -= 1
        if account.jobs == 0:
            self._active = max(0.0, self._active - account.weight)
            self._forget()

    def charge(self, user: str, lane: str, seconds: float) -> None:
        account = self._accounts[user, lane]
        account.served += seconds / account.weight
        if self._active > 0:
            self._clock += seconds / self._active

    def rank(self, user: str, lane: str, remaining_s: float, number: int) -> Rank:
        """The rank of a job with `remaining_s` device seconds to go; `number` counts arrivals and breaks ties."""
        lead_s = (account := self._accounts[user, lane]).served - self._clock
        if lead_s * account.weight < -self.slack_s:
            return BEHIND, lead_s, remaining_s, number
        band = AHEAD if lead_s * account.weight > self.slack_s else LEVEL
        return band, LANES.index(lane), remaining_s, number

    def _forget(self) -> None:
        """Drop idle accounts that owe nothing, so that a year of strangers costs no memory."""
        gone = [key for key, a in self._accounts.items() if a.jobs == 0 and a.served <= self._clock]
        for key in gone:
            del self._accounts[key]


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
