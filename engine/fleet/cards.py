"""Which devices a setting means, and how a process gets to see one card alone. Asks the driver; knows no torch."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from contextlib import suppress

VISIBLE = "CUDA_VISIBLE_DEVICES"
NOTHING = "none"  # as a device: this machine paints nothing itself
LIBRARIES = ("libnvidia-ml.so.1", "nvml.dll")


def named(setting: str) -> tuple[str, ...]:
    """The devices of `EASEL_DEVICE`: a list with commas, or `auto`, which is every card where there are several."""
    given = tuple(part.strip() for part in setting.split(",") if part.strip())
    if given != ("auto",):
        return given or ("auto",)
    cards = len(_visible() or range(_count()))
    return tuple(f"cuda:{number}" for number in range(cards)) if cards > 1 else ("auto",)


def are_here(setting: str) -> bool:
    """Whether a setting has this machine paint at all."""
    return named(setting) != (NOTHING,)


def environment(device: str) -> Mapping[str, str]:
    """What a process has to be told so that a card is its only one: nothing of it then lies on another by mistake."""
    number = _number(device)
    if number is None:
        return {}
    visible = _visible()
    return {VISIBLE: visible[number] if number < len(visible) else str(number)}


def inside(device: str) -> str:
    """What a card is called by a process that sees no other."""
    return device if _number(device) is None else "cuda"


def _number(device: str) -> int | None:
    kind, _, number = device.partition(":")
    return int(number) if kind == "cuda" and number.isdecimal() else None


def _visible() -> list[str]:
    """The cards that this process was given, where somebody has chosen; they may be numbers or ids."""
    return [part.strip() for part in os.environ.get(VISIBLE, "").split(",") if part.strip() not in ("", "-1")]


def _count() -> int:
    """NVIDIA cards in this machine, by their driver; 0 where it can't be asked."""
    if os.environ.get(VISIBLE) is not None:  # none, on purpose
        return 0
    if "torch" in sys.modules:
        return int(sys.modules["torch"].cuda.device_count())  # it knows AMD's, too
    for name in LIBRARIES:
        with suppress(OSError, AttributeError):
            library, count = ctypes.CDLL(name), ctypes.c_uint()
            if library.nvmlInit_v2() == 0 and library.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0:
                return count.value
    return 0
