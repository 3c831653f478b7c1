"""The engine's models, for everyone who decides by them. Knows no Discord."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.store.clock import Clock
from engine.api.model_info import ModelInfo

FRESH_MS = 1000  # what a download or a new file changes is seen after a second


class ModelList:
    """What the engine says of its models, asked once for all who want to know within a second.

    One /imagine asks a dozen times, and an engine may be another process.
    """

    def __init__(self, ask: Callable[[], Sequence[ModelInfo]], clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._known: Sequence[ModelInfo] = ()
        self._asked_ms: int | None = None

    def __call__(self) -> Sequence[ModelInfo]:
        """Return the models, the default first."""
        now_ms = self._clock.now_ms()
        if self._asked_ms is None or not 0 <= now_ms - self._asked_ms < FRESH_MS:
            self._known, self._asked_ms = self._ask(), now_ms
        return self._known
