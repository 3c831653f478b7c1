"""One engine in this process, or one for each of several devices in a process of its own. Knows no torch."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from engine.api.errors import InvalidSetup
from engine.backend import Backend
from engine.fleet import cards, judging
from engine.fleet.fleet import Fleet
from engine.fleet.machines.remembering import Remembered
from engine.fleet.members import Member
from engine.fleet.process import WorkerSpec
from engine.runtime.engine import Engine
from engine.vision.options import VisionOptions
from engine.wire.messages import Setup

MAX_THREADS = 16  # as of one engine
NOBODY = "EASEL_DEVICE is none, and none of EASEL_WORKERS, EASEL_ENGINE and EASEL_ENGINES lets others paint"
NEEDED = ("torch", "diffusers", "transformers")
NOT_INSTALLED = (
    "{} isn't installed, so this machine can't paint: install Easel with its engine (python3 install.py), or have "
    "others paint (EASEL_DEVICE=none with EASEL_WORKERS, EASEL_ENGINE or EASEL_ENGINES)"
)


def build(
    device: str,
    options: Mapping[str, Any],
    sight: VisionOptions,
    *,
    others: bool = False,
    foreign: Sequence[Member] = (),
) -> Backend:
    """The backend for the devices that a setting names. `options`: of `Engine`, as plain values.

    One device is served in this process. `others`: engines on other machines may join. `foreign`: engines that aren't
    Easel's. Raises: ModelUnloadable, InvalidSetup.
    """
    devices, memory = cards.named(device), _memory(options) if others else None
    if reason := trouble(device, others=others or bool(foreign)):
        raise InvalidSetup(reason=reason)
    if not cards.are_here(device):
        return Fleet(members=foreign, memory=memory, gate=sight.gate, judge=judging.alone(sight))
    if len(devices) == 1:
        engine = Engine(**options, device=devices[0], sight=sight)
        if not (others or foreign):
            return engine
        _check_names(engine, foreign)
        own = Member(devices[0], engine)
        return Fleet(members=[own, *foreign], memory=memory, gate=sight.gate)
    if sys.platform == "win32":
        raise InvalidSetup(reason="several devices need Linux or macOS; name one in EASEL_DEVICE")
    looking = replace(sight, gate=None)
    catalogue = Engine(**options, device=devices[0], sight=looking)
    _check_names(catalogue, foreign)
    return Fleet(specs(devices, options, looking), catalogue=catalogue, members=foreign, memory=memory, gate=sight.gate)


def _check_names(engine: Engine, foreign: Sequence[Member]) -> None:
    """Raises: InvalidSetup for another engine that is called as a model of one's own: nobody could ask for it."""
    own = {info.key.casefold() for info in engine.models()}
    if taken := [member.name for member in foreign if member.name.casefold() in own]:
        raise InvalidSetup(reason=f"EASEL_ENGINES calls an engine '{taken[0]}', as a model here is called already")


def trouble(device: str, *, others: bool) -> str:
    """Why nobody could paint with such settings; "" if somebody can. `others`: engines elsewhere may."""
    if not cards.are_here(device):
        return "" if others else NOBODY
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    return NOT_INSTALLED.format(missing[0]) if missing else ""


def _memory(options: Mapping[str, Any]) -> Remembered:
    folder = options.get("data_dir")
    return Remembered(Path(folder) if folder else None)


def specs(devices: Sequence[str], options: Mapping[str, Any], sight: VisionOptions) -> list[WorkerSpec]:
    """A worker for each device. The threads that one engine would have are divided among them."""
    looking = asdict(replace(sight, gate=None))
    del looking["gate"]
    threads = options.get("threads") or max(1, min(MAX_THREADS, _cores() - 1) // len(devices))
    found = []
    for number, device in enumerate(devices, 1):
        own = {**options, "device": cards.inside(device), "threads": threads, "sight": looking}
        name = device if devices.count(device) == 1 else f"{device}-{number}"
        found.append(
            WorkerSpec(name=name, setup=Setup(engine="easel", options=own), environment=cards.environment(device))
        )
    return found


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
