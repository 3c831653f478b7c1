"""A worker's process as it's kept by the bot: started, watched, and started again when it ends. Knows no torch."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from engine.backend import CARD_STANDS_S, HOPELESS, STANDS_S, EngineStatus
from engine.fleet import log_lines
from engine.fleet.remote_engine import OtherVersion, RemoteEngine
from engine.wire.links import Link, SocketWire
from engine.wire.messages import Setup

log = logging.getLogger(__name__)
BACK_OFF_S = (0.0, 1.0, 5.0, 15.0, 60.0)  # before the first, second, ... start in a row that comes to nothing
ENDING_S = 5.0  # from the last word to a kill
VMSTAT = Path("/proc/vmstat")  # of Linux; in a container, of its host
LINGER_S = 0.5  # from the end of the connection to that of a process that has crashed


class Watcher(Protocol):
    """Who is told of a worker's process."""

    def up(self, name: str, engine: RemoteEngine) -> None:
        """It takes jobs from now on."""
        ...

    def down(self, name: str, why: str, *, crashed: bool, hopeless: bool) -> None:
        """It's gone; `crashed`: by itself. `hopeless`: it has never been any good, for a reason that stays."""
        ...

    def changed(self) -> None:
        """Its state is another one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """What a worker's process is. `environment`: beside this process's own, such as the one card it may see."""

    name: str
    setup: Setup
    environment: Mapping[str, str] = field(default_factory=dict)


class WorkerProcess:
    """Keeps one worker's process running from `start` to `close`."""

    def __init__(self, spec: WorkerSpec, watcher: Watcher) -> None:
        self.spec, self._watcher = spec, watcher
        self._process: asyncio.subprocess.Process | None = None
        self._engine: RemoteEngine | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._closing = False
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._resting: asyncio.Task[None] | None = None
        self._is_up = self._has_been_up = False
        self._fails = 0
        self._lost = ""
        self._rounds, self._moved = 0, 0.0
        self._memory_kills = 0

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Idempotent."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name=f"worker-{self.spec.name}")

    def rest(self) -> None:
        """End it until it's to `wake`; it has nothing to do. Idempotent."""
        if self._wanted.is_set():
            self._wanted.clear()
            if self._engine is not None:
                self._resting = asyncio.create_task(self._engine.close(), name=f"rest-{self.spec.name}")

    def wake(self) -> None:
        """Run it again. Idempotent."""
        self._wanted.set()

    async def close(self, grace_s: float = 0.0) -> None:
        """Let what runs finish for `grace_s`, then end it."""
        self._closing = True
        self._wanted.set()
        if self._engine is not None:
            await self._engine.close(grace_s)
        if self._keeping is not None:
            await asyncio.wait([self._keeping], timeout=grace_s + ENDING_S)
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    async def _keep(self) -> None:
        while not self._closing:
            await asyncio.sleep(BACK_OFF_S[min(self._fails, len(BACK_OFF_S) - 1)])
            await self._wanted.wait()
            self._has_been_up = False
            try:
                await self._run()
            except OSError as error:
                self._ended(f"its process can't be started ({error.strerror})", crashed=True)
            except OtherVersion as error:  # Easel was replaced while it ran
                self._ended(str(error), crashed=False)
            self._fails = 0 if self._has_been_up else self._fails + 1

    def _ended(self, why: str, *, crashed: bool) -> None:
        hopeless = bool(self._lost) and not self._is_up
        self._is_up = False
        if not self._wanted.is_set():
            why = "it was drained"
            log.info("the worker %s rests", self.spec.name)
        elif not self._closing:
            log.error("the worker %s is gone: %s", self.spec.name, why)
        self._watcher.down(self.spec.name, why, crashed=crashed, hopeless=hopeless)

    async def _run(self) -> None:
        """One process from its start to its end. Raises: OSError."""
        here, there = socket.socketpair()
        try:
            with there:
                process = await self._spawn(there)
        except BaseException:
            here.close()
            raise
        self._process, self._lost, self._memory_kills = process, "", _memory_kills()
        try:
            link = Link(await SocketWire.over(here), "raw")
            await link.send(self.spec.setup)
            engine = self._engine = RemoteEngine(link, self._look)
            if not self._wanted.is_set():  # since it was being started
                await engine.close()
            why, crashed = await self._end_of(process, await engine.serve())
            self._ended(why, crashed=crashed)
            engine.abandon()
        finally:
            self._engine = None
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _spawn(self, there: socket.socket) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "engine.fleet.worker", str(there.fileno()), str(log_lines.level())]
        path = os.pathsep.join(sys.path)  # the same Easel as this one, however it was found
        environment = {**os.environ, "PYTHONPATH": path, **self.spec.environment}
        logged = await log_lines.LogLines.of(self.spec.name)
        try:
            return await asyncio.create_subprocess_exec(
                *command, pass_fds=[there.fileno()], stdin=asyncio.subprocess.DEVNULL, stderr=logged, env=environment
            )
        finally:
            os.close(logged)

    async def _end_of(self, process: asyncio.subprocess.Process, why: str) -> tuple[str, bool]:
        """Why it ended, and whether by itself: not by a kill, unless the system killed something for its memory."""
        if self._lost:
            return self._lost, True
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDING_S if self._closing else LINGER_S):
                await process.wait()
        code = process.returncode
        if code is None:  # it hangs
            return why, True
        if code < 0:
            by_itself = -code != signal.SIGKILL or _memory_kills() > self._memory_kills
            return f"{why} ({signal.Signals(-code).name})", by_itself
        return (why if code == 0 else f"{why} (exit code {code})"), code != 0

    def _look(self) -> None:
        """It said how it is: it's up from the first time that it's well, and over once its engine is lost."""
        engine = self._engine
        if engine is None:
            return
        status: EngineStatus = engine.status()
        if lost := str(status.facts.get("lost", "")) or self._hang(status):
            self._lost = lost
            if self._process is not None:
                with suppress(ProcessLookupError):
                    self._process.kill()
        elif not self._is_up and status.facts.get("rounds"):  # it has been through its set-up
            self._is_up = self._has_been_up = True
            self._watcher.up(self.spec.name, engine)
        else:
            self._watcher.changed()

    def _hang(self, status: EngineStatus) -> str:
        """Why it's over with an engine whose process goes on and that makes no step: only a new one helps then."""
        rounds, now = status.facts.get("rounds", 0), time.monotonic()
        if rounds != self._rounds or not (status.running or status.queued):
            self._rounds, self._moved = rounds, now
        stands_s = now - self._moved
        if stands_s < HOPELESS * STANDS_S.get(status.device, CARD_STANDS_S):
            return ""
        return f"its engine has stood still for {stands_s / 60:.0f} minutes, though jobs wait"


def _memory_kills() -> int:
    """How often Linux has killed a process because memory was short, since it was started; 0 elsewhere."""
    try:
        lines = VMSTAT.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
