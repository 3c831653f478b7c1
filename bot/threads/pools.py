"""The pools of threads in which everything happens that blocks. Knows nothing of what that is.

They're the process's, like the pool that asyncio has by itself; that one is left to asyncio, which looks up addresses
there: whatever uses up the threads of one kind of work, the others and the network go on.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from bot.errors import Busy
from bot.languages.speech import N_, _, later
from bot.loops import LOOK_S

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)
MOST_HANGING = 32  # threads that are given up and replaced; a disk that never answers must not make more and more
CPUS = os.cpu_count() or 1


class _Task:
    """A piece of work: in the queue, running, or given up while it ran."""

    def __init__(self, work: Callable[[], Any], running: set[_Task]) -> None:
        self._work, self._running = work, running
        self.answer: asyncio.Future[Any] | None = None
        self.begun = self.given_up = False

    def __call__(self) -> Any:
        self.begun = True
        self._running.add(self)
        try:
            return self._work()
        finally:
            self._running.discard(self)


class Pool:
    """Threads for one kind of work, and a limit on how much of it may wait for them.

    Args:
        most: how much may wait. full: what a member is told when it does.
        longest_s: work that takes longer hangs: its thread is given up and replaced.
    """

    def __init__(self, name: str, threads: int, *, most: int, longest_s: float, full: str) -> None:
        self.name, self.threads, self.most, self.longest_s, self.full = name, threads, most, longest_s, full
        self._tasks: set[_Task] = set()
        self._running: set[_Task] = set()
        self._looks: dict[_Task, int] = {}  # how often each was found running
        self._executor = self._fresh()

    def _fresh(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, f"easel-{self.name}")

    @property
    def waiting(self) -> int:
        """How much waits for a thread."""
        return sum(not task.begun for task in self._tasks)

    @property
    def busy(self) -> int:
        """How many threads work, those that hang included."""
        return len(self._running)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns, from a thread. For what members ask for.

        Raises: Busy when too much waits; what `work` raises; TimeoutError when it hangs.
        """
        self.check_room()
        return await self.run_always(work, *args, **kwargs)

    def check_room(self) -> None:
        """Raises: Busy when too much waits."""
        if self.waiting >= self.most:
            raise Busy("{full} Try again in a minute; nothing was charged.", full=later(_, self.full))

    async def run_always(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, however much waits. For what must be done, and is bounded by what orders it."""
        context = contextvars.copy_context()
        task = _Task(partial(context.run, work, *args, **kwargs), self._running)
        self._tasks.add(task)
        try:
            return await self._answer(task)  # type: ignore[no-any-return]
        finally:
            self._tasks.discard(task)

    async def _answer(self, task: _Task) -> Any:
        while True:
            executor, task.answer = self._submit(task)
            try:
                return await task.answer
            except asyncio.CancelledError:
                if task.given_up:
                    raise TimeoutError(f"{self.name}: no answer within {self.longest_s:.0f} s") from None
                if executor is self._executor or task.begun or _is_cancelled():
                    raise
                # it waited for threads that all hung: the new ones take it

    def _submit(self, task: _Task) -> tuple[ThreadPoolExecutor, asyncio.Future[Any]]:
        """Queue it, in new threads if the old ones are dead."""
        try:
            return self._executor, asyncio.wrap_future(self._executor.submit(task))
        except RuntimeError:
            log.exception("the threads for %s are gone; others take their place", self.name)
            self._renew()
            return self._executor, asyncio.wrap_future(self._executor.submit(task))

    def look(self) -> str:
        """Replace threads that hang; a sentence while some do. To be called every `LOOK_S`: clocks jump."""
        self._looks = {task: self._looks.get(task, -1) + 1 for task in tuple(self._running)}
        hanging = [task for task, looks in self._looks.items() if looks * LOOK_S >= self.longest_s]
        fresh = [task for task in hanging if not task.given_up]
        for task in fresh:
            task.given_up = True
            if task.answer is not None:
                task.answer.cancel()
        if fresh and len(hanging) <= MOST_HANGING:
            log.error("%d threads for %s hang; others take their place", len(fresh), self.name)
            self._renew()
        if hanging:
            return f"{len(hanging)} threads hang."
        return f"{self.waiting} pieces of work wait, and no more may." if self.waiting >= self.most else ""

    def _renew(self) -> None:
        """Start new threads. The old ones end with what they are doing; what waited for them goes to the new ones."""
        old, self._executor = self._executor, self._fresh()
        old.shutdown(wait=False, cancel_futures=True)


def _is_cancelled() -> bool:
    """Whether whoever asked was called off, and not only the work."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


FILES = Pool("files", 8, most=256, longest_s=120, full=N_("The disk can't keep up."))
"""Reading and writing pictures."""
PICTURES = Pool(
    "pictures", max(2, min(CPUS, 8)), most=64, longest_s=300, full=N_("Too many pictures are being made ready.")
)
"""Grids, thumbnails, encoding: pictures of ours."""
UPLOADS = Pool("uploads", 2, most=64, longest_s=60, full=N_("Too many uploads are being read."))
"""What strangers sent."""
EDITOR = Pool("editor", 2, most=16, longest_s=60, full=N_("Too many people use the mask editor."))
"""What the mask editor's page asks for."""
TEXTS = Pool("texts", 1, most=64, longest_s=60, full=N_("Too many long texts are being checked."))
"""Long texts that are looked through."""
BACKUPS = Pool("backups", 1, most=1, longest_s=12 * 3600, full=N_("A backup is being made."))
"""The copy of everything, which takes as long as the disk takes."""
POOLS = (FILES, PICTURES, UPLOADS, EDITOR, TEXTS, BACKUPS)
