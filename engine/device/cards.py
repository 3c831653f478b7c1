"""Whether there is a card that computes faster than the processor, told by the system. Knows no torch."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

NVIDIA = Path("/proc/driver/nvidia/version")
AMD = Path("/dev/kfd")


def has_nvidia() -> bool:
    """Whether there is an NVIDIA card whose driver is loaded."""
    return NVIDIA.exists() or shutil.which("nvidia-smi") is not None


def expected(device: str) -> bool:
    """Whether a setting of the device will probably end on a card: `auto` where there is one."""
    if device != "auto":
        return device != "cpu"
    return has_nvidia() or AMD.exists() or (sys.platform == "darwin" and platform.machine() == "arm64")
