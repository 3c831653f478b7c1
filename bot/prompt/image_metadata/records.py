"""What was read, and the careful getters that every tool's reader uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

MAX_TEXT = 1 << 20  # characters of one text; a large ComfyUI workflow has a few hundred thousand
MAX_WORDS = 8_000  # characters kept of a prompt
MAX_NAME = 120  # characters kept of a model's or sampler's name
MAX_OTHERS = 12  # further facts that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """How a picture was made, as its file says. None or "" = not said.

    Attributes:
        tool: who wrote it, such as "ComfyUI". sampler: as that tool names it, with its schedule if any.
        seed: any size; tools differ. variations: Easel's own, (seed, strength). others: further (name, value) pairs.
        from_picture: another picture was part of it, which the file does not hold.
        ratio: width to height, where no size is said. loras: by name and weight, those that the prompt doesn't name.
        left_out: what was done besides and isn't done here, each as "the refiner x".
    """

    tool: str
    prompt: str = ""
    negative_prompt: str = ""
    steps: int | None = None
    guidance: float | None = None
    sampler: str = ""
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    model: str = ""
    strength: float | None = None
    variations: tuple[tuple[int, float], ...] = ()
    tiling: bool = False
    from_picture: bool = False
    ratio: tuple[float, float] | None = None
    loras: tuple[tuple[str, float], ...] = ()
    left_out: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()


def whole(value: object) -> int | None:
    """A whole number below 2^64 out of a number or a plain text; else None."""
    if isinstance(value, float) and isfinite(value) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64
    return value if fits and isinstance(value, int) else None


def number(value: object) -> float | None:
    """A finite number out of a number or a plain text; else None."""
    if isinstance(value, str):
        text = value.strip()
        plain = text.isascii() and text.replace(".", "", 1).isdigit() and len(text) <= 16
        value = float(text) if plain else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e9 and isfinite(value) else None


def words(value: object, limit: int = MAX_WORDS) -> str:
    """A text, cut short; anything else is "" ."""
    return value[:limit].strip() if isinstance(value, str) else ""


def name(value: object) -> str:
    """A model's or sampler's name without its folders; InvokeAI and ComfyUI nest it."""
    if isinstance(value, Mapping):
        value = next((value[key] for key in ("name", "model_name", "key") if isinstance(value.get(key), str)), "")
    text = words(value, MAX_NAME)
    return text.replace("\\", "/").rsplit("/", 1)[-1]


def json_of(text: str) -> dict[str, Any]:
    """A JSON object; {} for everything else."""
    if len(text) > MAX_TEXT:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
