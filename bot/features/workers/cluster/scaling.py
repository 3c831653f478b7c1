"""How many workers there should be. Pure."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

SOON_S = 30.0  # what is asked for now should be painted within so long
KEPT_S = 300.0  # a worker that isn't needed stays so long: to start one, and to load its models, takes minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is to be painted.

    Attributes:
        work_s: seconds of one card that all open jobs take, as far as is known.
        known: models that can be asked for. Where there are none, a worker has to come and tell its own.
    """

    jobs: int
    work_s: float
    known: int


class Scaling:
    """More workers at once, fewer only when they weren't needed for a while."""

    def __init__(self, fewest: int, most: int) -> None:
        self._fewest, self._most = fewest, most
        self._needed: deque[tuple[float, int]] = deque()  # falling: each is the most since those before it

    def wanted(self, load: Load, now_s: float) -> int:
        """The most that were needed at any time of the last `KEPT_S`, within the limits. `now_s` never falls."""
        needed = min(load.jobs, max(1, math.ceil(load.work_s / SOON_S))) if load.known else 1
        while self._needed and self._needed[-1][1] <= needed:
            self._needed.pop()
        self._needed.append((now_s, needed))
        while self._needed[0][0] < now_s - KEPT_S:
            self._needed.popleft()
        return min(max(self._fewest, self._needed[0][1]), self._most)
