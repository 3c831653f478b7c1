"""What whoever runs Easel says of a model or a LoRA, in a small JSON file beside it. Knows no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.api import schedulers
from engine.api.errors import UnknownScheduler
from engine.tasks.txt2img import MAX_SIDE_PX, MAX_STEPS

FILE = "easel.json"
SAMPLING = ("num_inference_steps", "guidance_scale", "scheduler")
OF_MODELS = ("width", "height", *SAMPLING, "max_pixels", "margins")
MIN_SIDE_PX, MAX_GUIDANCE = 64, 100

Said = Mapping[str, Any]


def _side(value: Any) -> bool:
    return type(value) is int and MIN_SIDE_PX <= value <= MAX_SIDE_PX and value % 8 == 0


def _scheduler(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(schedulers.resolve(value))
    except UnknownScheduler:
        return False


# What can be said: whether it can be, and how to say it.
_KNOWN: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "width": (_side, f"a multiple of 8 from {MIN_SIDE_PX} to {MAX_SIDE_PX}"),
    "height": (_side, f"a multiple of 8 from {MIN_SIDE_PX} to {MAX_SIDE_PX}"),
    "num_inference_steps": (lambda n: type(n) is int and 1 <= n <= MAX_STEPS, f"a number from 1 to {MAX_STEPS}"),
    "guidance_scale": (
        lambda n: type(n) in (int, float) and math.isfinite(n) and 0 <= n <= MAX_GUIDANCE,
        f"a number from 0 to {MAX_GUIDANCE}",
    ),
    "scheduler": (_scheduler, "a scheduler's name, such as euler"),
    "max_pixels": (lambda n: type(n) is int and n >= MIN_SIDE_PX**2, f"a number of at least {MIN_SIDE_PX**2}"),
    "margins": (lambda n: type(n) is bool, "true or false"),
}


def read(path: Path, keys: Iterable[str] = OF_MODELS) -> tuple[Said, str]:
    """What a file says, and what of it can't be used, as a sentence's end; nothing of either where there is none."""
    if not path.is_file():
        return {}, ""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}, "it is no JSON file"
    if not isinstance(said, dict):
        return {}, 'it must be one object, such as {"num_inference_steps": 4}'
    fine = {key: said[key] for key in keys if key in said and _KNOWN[key][0](said[key])}
    odd = [key for key in keys if key in said and key not in fine]
    return fine, "; ".join(f"{key} must be {_KNOWN[key][1]}, not {json.dumps(said[key])[:40]}" for key in odd)
