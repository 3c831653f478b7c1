"""How often messages may be edited. Pure: times in, waits out."""

from __future__ import annotations

from collections import deque

JOB_INTERVAL_MS = 2_000  # Discord drops edits faster than 5 per 2 s on one interaction
CHANNEL_WINDOW_MS = 60_000
CHANNEL_EDITS = 25  # of about 30 a minute, so that final edits always find room


class EditRateLimiter:
    """The edit budget of jobs and channels."""

    def __init__(self) -> None:
        self._jobs: dict[int, int] = {}
        self._channels: dict[int, deque[int]] = {}

    def wait_ms(self, job_id: int, channel_id: int, now_ms: int) -> int:
        """Milliseconds until this job may edit its message in this channel; 0 = now."""
        waits = [self._jobs.get(job_id, 0) + JOB_INTERVAL_MS - now_ms]
        edits = self._channels.get(channel_id)
        if edits is not None and len(edits) >= CHANNEL_EDITS:
            waits.append(edits[-CHANNEL_EDITS] + CHANNEL_WINDOW_MS - now_ms)
        return max(0, *waits)

    def edited(self, job_id: int, channel_id: int, now_ms: int) -> None:
        """Count one edit."""
        self._jobs[job_id] = now_ms
        edits = self._channels.setdefault(channel_id, deque(maxlen=CHANNEL_EDITS))
        edits.append(now_ms)

    def forget(self, job_id: int) -> None:
        self._jobs.pop(job_id, None)
