"""What does a model of full size take to load and to paint with? Against diffusers itself, in time and memory.

    python -m benchmarks.full_size sd15 [side [steps [rounds]]]     # 2.1 GB of random weights in bfloat16
    python -m benchmarks.full_size sdxl [side [steps [rounds]]]     # 6.9 GB

Three ways, each in a process of its own that has painted with Mini before, as a bot has when another model is asked
for: diffusers; the engine when it has never seen the files, so that their hash has to be worked out; and the engine
when it has. In the order A B C C B A, whose halves are added. `load` is until the model is there, `first` from there to
the first picture, `wait` both together, `picture` each of two more of fresh prompts; as wall and processor seconds.
`most_mib` is the most memory that the process has had, `own_mib` what of it at the end is no file's page. All pictures
are compared.

On two cores of an AMD EPYC that knows bfloat16, which others kept busy (load 3 to 5, so only processor seconds count),
as ratios to diffusers in one run each, all pictures the same:

| 256 px | way | load | first | wait | picture | most_mib | own_mib |
|---|---|---|---|---|---|---|---|
| sd15, 3 steps, 2 rounds | new | 2.60 | 1.18 | 1.21 (7.8 s for 6.5 s) | 0.95 | 1.03 | 0.64 |
| | known | 1.53 (0.19 s for 0.12 s) | 1.02 | 1.03 | 0.96 | 1.02 | 0.64 |
| sdxl, 2 steps, 1 round | new | 1.23 | 1.55 | 1.52 (12.6 s for 8.3 s) | 1.00 | 1.00 | 0.58 |
| | known | 0.71 | 1.08 | 1.05 | 1.04 | 1.00 | 0.58 |

The hash of new files is 0.6 s a GB, as fast as the processor's own instructions for it are, in a thread beside the load
and the first picture: in their processor seconds, but by the clock new files took 6 % longer than known ones for sd15
and 2 % less for sdxl. Fitting the previews is 0.35 s of a model's first picture. Of several loads diffusers' own take
three times as long now and then, when Python's collector looks through the libraries.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch

from benchmarks.grid import Plain, request
from benchmarks.models import full_sd15, full_sdxl
from engine import Engine, Txt2Img
from engine.mini import MODEL_DIR

WRITERS: dict[str, Callable[[Path], None]] = {"sd15": full_sd15, "sdxl": full_sdxl}
WAYS = ("plain", "new to the engine", "known to the engine")
PICTURES = 3
LOOK_S = 0.005  # how often the engine is asked whether the model is there


class Clock:
    """Wall and processor seconds since the last time that it was asked, by name."""

    def __init__(self) -> None:
        self.told: dict[str, tuple[float, float]] = {}
        self._last = time.perf_counter(), time.process_time()

    def note(self, name: str) -> None:
        now = time.perf_counter(), time.process_time()
        self.told[name] = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now


def asked(number: int, side: int, steps: int, **changes: Any) -> Txt2Img:
    facts = {"num_images": 1, "together": False, "num_inference_steps": steps, "width": side, "height": side}
    return request(number, **{**facts, **changes})


# ---------------------------------------------------------------- one process
def plain(folder: str, side: int, steps: int) -> tuple[Clock, list[bytes]]:
    mini = Plain(diffusers.StableDiffusionPipeline.from_pretrained(MODEL_DIR, safety_checker=None))
    mini.paint(asked(0, 64, 2), [0])
    clock = Clock()
    pipe = Plain(diffusers.DiffusionPipeline.from_pretrained(folder, dtype=torch.bfloat16))
    clock.note("load")
    pictures = []
    for number in range(PICTURES):
        pictures.append(pipe.paint(asked(number, side, steps), [0])[0].tobytes())
        clock.note(f"picture {number}")
    return clock, pictures


async def ours(folder: str, side: int, steps: int, data: str) -> tuple[Clock, list[bytes]]:
    options: dict[str, Any] = {"threads": 1, "dtype": "bfloat16", "data_dir": Path(data)}
    async with Engine("mini", models={"full": folder}, **options) as engine:
        await engine.submit(asked(0, 64, 2)).result()
        clock, pictures = Clock(), []
        for number in range(PICTURES):
            ticket = engine.submit(asked(number, side, steps, model="full"))
            if not number:
                while "full" not in engine.status().loaded:  # noqa: ASYNC110 - it tells nobody when a load ends
                    await asyncio.sleep(LOOK_S)
                clock.note("load")
            pictures.append((await ticket.result())[0].tobytes())
            clock.note(f"picture {number}")
    return clock, pictures


def alone(way: str, folder: str, side: int, steps: int, data: str) -> None:
    """Do it in this process, and print what was seen."""
    torch.set_num_threads(1)
    clock, pictures = plain(folder, side, steps) if way == WAYS[0] else asyncio.run(ours(folder, side, steps, data))
    told = {"times": clock.told, "most_mib": memory("VmHWM"), "own_mib": memory("RssAnon")}
    print(json.dumps({**told, "pictures": [hash(each) for each in pictures]}))


def memory(name: str) -> float:
    """One of this program's own; `getrusage` tells the most of whoever started it, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


# ---------------------------------------------------------------- all of them
def measured(name: str, side: int, steps: int, rounds: int) -> dict[str, Any]:
    seen: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as place:
        folder, known = Path(place) / "model", Path(place) / "known"
        WRITERS[name](folder)
        _process(WAYS[2], folder, side, 1, known)  # so that it is known, and its files are in memory for all
        for _ in range(rounds):
            for way in (*WAYS, *reversed(WAYS)):
                with tempfile.TemporaryDirectory() as fresh:
                    seen[way].append(_process(way, folder, side, steps, known if way == WAYS[2] else Path(fresh)))
    pictures = {tuple(run["pictures"]) for runs in seen.values() for run in runs}
    found = {way: _figures(runs) for way, runs in seen.items()}
    ratios = {way: _ratios(found[way], found[WAYS[0]]) for way in WAYS[1:]}
    return {"seen": found, "ratios": ratios, "all pictures are the same": len(pictures) == 1}


def _process(way: str, folder: Path, side: int, steps: int, data: Path) -> dict[str, Any]:
    arguments = [way, str(folder), str(side), str(steps), str(data)]
    command = [sys.executable, "-m", "benchmarks.full_size", "alone", *arguments]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}  # pictures are told apart by their hash
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    times = told["times"]
    later = [times[f"picture {number}"] for number in range(1, PICTURES)]
    picture = [statistics.median(kind) for kind in zip(*later, strict=True)]
    wait = [sum(kind) for kind in zip(times["load"], times["picture 0"], strict=True)]
    return {**told, "load": times["load"], "first": times["picture 0"], "wait": wait, "picture": picture}


def _figures(runs: list[dict[str, Any]]) -> dict[str, list[float]]:
    """[median, least, most] of each figure, over pairs of runs whose halves are added."""
    found: dict[str, list[float]] = {}
    for name in ("load", "first", "wait", "picture"):
        for at, kind in enumerate(("wall_s", "cpu_s")):
            found[f"{name}_{kind}"] = [run[name][at] for run in runs]
    for kind in ("most_mib", "own_mib"):
        found[kind] = [run[kind] for run in runs]
    halves = {name: [(a + b) / 2 for a, b in zip(each[::2], each[1::2], strict=True)] for name, each in found.items()}
    return {name: [round(f(each), 3) for f in (statistics.median, min, max)] for name, each in halves.items()}


def _ratios(engine: dict[str, list[float]], diffusers_own: dict[str, list[float]]) -> dict[str, float]:
    return {name: round(each[0] / diffusers_own[name][0], 3) for name, each in engine.items()}


def main() -> None:
    warnings.simplefilter("ignore")
    what, *more = sys.argv[1:] or ["sd15"]
    if what == "alone":
        way, folder, side, steps, data = more
        return alone(way, folder, int(side), int(steps), data)
    numbers = [int(each) for each in more]
    print(json.dumps(measured(what, *(numbers + [256, 4, 2][len(numbers) :])), indent=1))


if __name__ == "__main__":
    main()
