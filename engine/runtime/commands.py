"""What the event loop asks of the engine's thread, and who answers when that can paint no more. Knows no torch."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from engine.api.errors import EngineError
from engine.api.events import Cancelled, Failed
from engine.api.inspection import Inspection
from engine.runtime.jobs import Job

if TYPE_CHECKING:
    from engine.runtime.options import Files
    from engine.vision.vision_models import VisionModels

T = TypeVar("T")
Post = Callable[[T | EngineError], None]


class Commands(Protocol):
    """Each is called in the engine's thread, between two steps."""

    def submit(self, job: Job) -> None:
        """Serve this job."""
        ...

    def cancel(self, job: Job) -> None:
        """Stop this job, unless it has ended."""
        ...

    def look(self, question: Callable[[VisionModels], T], post: Post[T]) -> None:
        """Answer a question about a picture."""
        ...

    def inspect(self, post: Post[Inspection]) -> None:
        """Tell what is inside."""
        ...

    def use(self, files: Files) -> None:
        """Work with these files from now on."""
        ...

    def close(self, grace_s: float) -> None:
        """End when everything is done, at the latest after `grace_s`."""
        ...


Command = Callable[[Commands], None]


class Stopped:
    """Gives one answer to everything, so that nobody waits for a worker that has stopped."""

    def __init__(self, error: EngineError) -> None:
        self._error = error
        self._closed = False

    def serve(self, commands: queue.SimpleQueue[Command]) -> None:
        """Answer until somebody closes."""
        while not self._closed:
            commands.get()(self)

    def submit(self, job: Job) -> None:
        job.end(Failed(error=self._error))

    def cancel(self, job: Job) -> None:
        job.end(Cancelled())

    def look(self, question: Callable[[VisionModels], T], post: Post[T]) -> None:
        post(self._error)

    def inspect(self, post: Post[Inspection]) -> None:
        post(self._error)

    def use(self, files: Files) -> None:
        """Nobody works any more."""

    def close(self, grace_s: float) -> None:
        self._closed = True
