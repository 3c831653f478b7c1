"""Threads beside the engine's: one reads models into memory, one hashes, one downloads. The engine's never waits.

Whoever needs what is not there yet asks `Loader.wait`, which raises `NotYet`: the job is put aside, joins the load that
is under way or starts it, and is asked again once that has ended.
"""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import torch

from engine.device.exclusive import exclusive, guard

log = logging.getLogger(__name__)

Stage = Literal["download", "load", "hash"]
Tell = Callable[[int, int], None]  # bytes that are done, and all of them
TELL_S = 0.5  # how often waiting jobs are told how far a load is
LEAVE_S = 2.0  # what is inside a library's call at the end is left, and drops what it made
EXIT_S = 30.0  # how long the process waits for it before it ends: torch aborts a process that ends meanwhile

_READING = threading.Lock()  # libraries patch torch for every thread while they build a model, so one at a time does


@dataclass(eq=False, kw_only=True)
class Load:
    """One thing on its way into memory, or onto the disk; or the hash of one.

    Attributes:
        name: of the model, as the waiting jobs are told it.
        work: makes it, in a thread of the loader's; tells how far it is. May raise anything.
        take: receives what was made, in the engine's thread; returns what the waiting jobs are to hold, if anything.
        ended: called there afterwards, however it ended.
        kept: what `take` returned.
        again: whether to try once more after that error, and then with what work.
        done_bytes, total_bytes: how far it is; 0 of 0 while nobody knows.
    """

    key: Hashable
    name: str
    stage: Stage
    work: Callable[[Tell], Any]
    take: Callable[[Any], Any] = lambda _: None
    ended: Callable[[], object] = lambda: None
    done_bytes: int = 0
    total_bytes: int = 0
    kept: Any = None
    again: Callable[[Exception], bool] = lambda _: False

    def forget(self) -> None:
        """Let go of what it made: memory must be free when its owner drops it, not when the garbage is collected."""
        self.kept, self.work, self.take = None, lambda _: None, lambda _: None
        self.ended, self.again = (lambda: None), (lambda _: False)


class NotYet(Exception):
    """What is asked for is being loaded; ask again when that has ended."""

    def __init__(self, load: Load) -> None:
        super().__init__(f"{load.name} is being loaded")
        self.load = load


class NoRoom(Exception):
    """What is asked for fits only when somebody else's model may go; ask again when one may."""


class Abandoned(BaseException):
    """The engine is closing, and nobody wants the load any more. No failure, so nobody's `except Exception` sees it."""


@dataclass(eq=False)
class Loader:
    """Loads in threads of its own. All but `_serve` is the engine's thread's.

    Args:
        post: runs a function in the engine's thread.
        told: called there when a load has come further. done: when one has ended, with the exception or None.
    """

    post: Callable[[Callable[[], None]], None]
    told: Callable[[Load], None]
    done: Callable[[Load, Exception | None], None]
    pending: dict[Hashable, Load] = field(default_factory=dict)
    _lanes: dict[Stage, queue.SimpleQueue[Load | None]] = field(default_factory=dict)
    _threads: list[threading.Thread] = field(default_factory=list)
    _closing: threading.Event = field(default_factory=threading.Event)

    def wait(self, key: Hashable, make: Callable[[], Load]) -> NoReturn:
        """Join the load of that key, or begin the one that `make` describes. Raises: NotYet, always."""
        raise NotYet(self.begin(key, make))

    def begin(self, key: Hashable, make: Callable[[], Load]) -> Load:
        """The load of that key: the one under way, or the one that `make` describes, begun now."""
        load = self.pending.get(key)
        if load is None:
            load = self.pending[key] = make()
            self._lane(load.stage).put(load)
        return load

    def close(self) -> None:
        """Abandon what is under way: at once where it tells how far it is, else when its library lets it."""
        self._closing.set()
        for lane in self._lanes.values():
            lane.put(None)
        until = time.monotonic() + LEAVE_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                atexit.register(thread.join, EXIT_S)
        for load in self.pending.values():
            load.ended()
        self.pending.clear()

    def _lane(self, stage: Stage) -> queue.SimpleQueue[Load | None]:
        if stage not in self._lanes:
            guard()
            self._lanes[stage] = queue.SimpleQueue()
            thread = threading.Thread(target=self._serve, args=(self._lanes[stage],), name=stage, daemon=True)
            self._threads.append(thread)
            thread.start()
        return self._lanes[stage]

    # ------------------------------------------------------------------ the threads
    def _serve(self, lane: queue.SimpleQueue[Load | None]) -> None:
        with torch.no_grad():
            while (load := lane.get()) is not None and not self._closing.is_set():
                self._run(load)

    def _run(self, load: Load) -> None:
        made, error = None, None
        try:
            with _READING if load.stage == "load" else nullcontext():
                if self._closing.is_set():
                    return
                made = load.work(self._teller(load))
        except Abandoned:
            return
        except Exception as raised:  # an outer edge: whatever it is, those who wait are told
            error = raised
        finally:
            exclusive.restore()
        if not self._closing.is_set():
            self.post(lambda: self._end(load, made, error))

    def _teller(self, load: Load) -> Tell:
        last = 0.0

        def tell(done_bytes: int, total_bytes: int) -> None:
            nonlocal last
            if self._closing.is_set():
                raise Abandoned
            now = time.monotonic()
            if now - last >= TELL_S:
                last = now
                self.post(lambda: self._tell(load, done_bytes, total_bytes))

        return tell

    # ------------------------------------------------------------------ the engine's thread
    def _tell(self, load: Load, done_bytes: int, total_bytes: int) -> None:
        load.done_bytes, load.total_bytes = done_bytes, total_bytes
        if load.key in self.pending:
            self.told(load)

    def _end(self, load: Load, made: Any, error: Exception | None) -> None:
        if self.pending.get(load.key) is not load:
            return  # closed meanwhile
        if error is not None and load.again(error):
            return self._lane(load.stage).put(load)
        del self.pending[load.key]
        if error is None:
            load.kept = load.take(made)
        load.ended()
        self.done(load, error)
        load.forget()
