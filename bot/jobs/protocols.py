"""What the services need from whoever shows things to people. Implemented by the Discord side; knows no Discord."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bot.jobs.records import Job, OutboxEntry, StoredImage
from engine.api.events import Event


class TryLater(Exception):
    """The delivery may work after `after_s` seconds (rate limit, outage); None = the outbox chooses."""

    def __init__(self, after_s: float | None = None) -> None:
        super().__init__(f"try again in {after_s} s" if after_s is not None else "try again later")
        self.after_s = after_s


class Undeliverable(Exception):
    """No try will ever work (channel gone, bot removed). The pictures wait in the history, the price is refunded."""


class TokenRefused(Exception):
    """Discord no longer accepts the bot's token: nothing can be delivered, and everything stays owed."""


class Listener(Protocol):
    async def on_event(self, job: Job, event: Event) -> None:
        """Show what the engine says about a running job.

        Called for one job one at a time and in order; while a call runs, a newer event of the same kind (and image)
        replaces the waiting one. The last event is the terminal one of this attempt: a `Failed` with a retryable error
        may be followed by `Queued` again. Terminal events are for tidying up: show nothing on them, the courier does.
        No other call for a job is running when its delivery is tried, so a late progress edit cannot cover the result.
        Exceptions are logged and ignored; a last call that takes over 10 s is cancelled.
        """
        ...


class Courier(Protocol):
    async def deliver(self, owed: OutboxEntry, job: Job, images: Sequence[StoredImage]) -> int | None:
        """Edit the job's message into its final form; the message's id.

        May be called again with the same entry after a crash: must then change nothing a person sees. `images` is empty
        unless a result is owed. Who can't be reached at all, or only later, is told so where that is possible.
        Raises: TryLater, Undeliverable, TokenRefused.
        """
        ...
