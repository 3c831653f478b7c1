"""Double clicks: Discord sends two interactions, and only the first may start something."""

from __future__ import annotations

from bot.store.clock import Clock

WINDOW_MS = 2000


class DoubleClicks:
    """Keys of recent clicks. In memory: nobody double-clicks across a restart."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[int, int]] = {}

    def is_first(self, key: str, window_ms: int = WINDOW_MS) -> bool:
        """Note a click; False if the same one came within its window. `key` names image, action and member."""
        now_ms = self._clock.now_ms()
        self._windows = {name: (start, end) for name, (start, end) in self._windows.items() if start <= now_ms < end}
        if key in self._windows:
            return False
        self._windows[key] = now_ms, now_ms + window_ms
        return True
