"""How the process ends: exit codes, and signals that are obeyed at every moment. Knows no part of Easel."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")
FAILED = 1  # it may go better the next time
REFUSED = 2  # asked wrongly
MISCONFIGURED = 78  # EX_CONFIG of sysexits.h: only a person can mend it, so starting again is of no use
INTERRUPTED = 130  # by Ctrl-C, before anything listened
SIGNALS = (signal.SIGTERM, signal.SIGINT)
UNREADY_S = 10.0  # a start that was called off gets this to clean up
HANGS_S = 600.0  # an event loop that stands still for so long never goes on
ALIVE_S = 15.0  # how often it says that it doesn't


class Stopped(KeyboardInterrupt):
    """A signal came, and nothing was ready to stop by itself. `code` is the exit code."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a signal end the block with `Stopped`. Without a handler, the first process of a container ignores them."""

    def stop(number: int, _frame: FrameType | None) -> None:
        _end_at_once_the_next_time()
        raise Stopped(number)

    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield
        return
    before = {number: signal.signal(number, stop) for number in SIGNALS}
    ending = False
    try:
        yield
    except Stopped:
        ending = True  # what was set for the next signal stays
        raise
    finally:
        for number, handler in () if ending else before.items():
            signal.signal(number, handler)


class Stopping:
    """When a running program is to stop: `wait` returns after a signal that came once it was `ready`.

    A signal that comes before cancels `task`. A second signal, or `grace_s` that were not enough, end the process.
    """

    def __init__(self, task: asyncio.Task[Any], grace_s: float) -> None:
        self._task, self._grace_s = task, grace_s
        self._loop, self._asked = asyncio.get_running_loop(), asyncio.Event()
        self._ready = False
        self.signal: int | None = None

    def ready(self) -> None:
        """From now on the program stops by itself when it's asked to."""
        self._ready = True

    async def wait(self) -> None:
        """Return once it's time to stop."""
        await self._asked.wait()

    def ask(self) -> None:
        """Stop without a signal, because something failed."""
        _end_after(self._grace_s)
        self._asked.set()

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Obey a signal: the first one gently, as far as the program can."""
        self.signal = number
        _end_at_once_the_next_time()
        _end_after(self._grace_s if self._ready else UNREADY_S)
        self._loop.call_soon_threadsafe(self._asked.set if self._ready else self._task.cancel)


def run(work: Callable[[Stopping], Coroutine[Any, Any, T]], grace_s: float = UNREADY_S) -> T:
    """Run `work` in an event loop. Raises: Stopped, when a signal came before it was ready to stop by itself."""

    async def obeying() -> T:
        task = asyncio.current_task()
        assert task is not None
        stopping = Stopping(task, grace_s)
        before = {number: signal.signal(number, stopping.on_signal) for number in SIGNALS}
        try:
            return await work(stopping)
        except asyncio.CancelledError:
            if stopping.signal is not None:
                raise Stopped(stopping.signal) from None
            raise
        finally:
            if stopping.signal is None:
                for number, handler in before.items():
                    signal.signal(number, handler)

    return asyncio.run(obeying())


@asynccontextmanager
async def ending_if_it_hangs() -> AsyncIterator[None]:
    """End the process, with all threads' stacks on stderr, when the event loop has stood still for `HANGS_S`.

    By a thread that needs no Python, so also when a library never lets go of the interpreter. What counts is on disk.
    """

    async def be_alive() -> None:
        while True:
            faulthandler.dump_traceback_later(HANGS_S, exit=True)  # with FAILED; in place of the one before
            await asyncio.sleep(ALIVE_S)

    alive = asyncio.create_task(be_alive(), name="alive")
    try:
        yield
    finally:
        alive.cancel()
        faulthandler.cancel_dump_traceback_later()


def _end_at_once_the_next_time() -> None:
    for number in SIGNALS:
        signal.signal(number, lambda number, _frame: os._exit(128 + number))


def _end_after(seconds: float) -> None:
    """End the process however it hangs; whatever counts is on disk, as it would be after a crash."""

    def end() -> None:
        print(f"easel: did not stop within {seconds:.0f} s, so it was ended; nothing is lost", file=sys.stderr)
        os._exit(FAILED)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
