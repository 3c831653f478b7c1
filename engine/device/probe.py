"""Whether the device computes, and what it is: for the doctor, and for a start that is about to log in.

Whoever imports this has imported `engine.device.before_torch` before.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import torch

from engine.api.errors import InvalidSetup, first_line
from engine.device import devices
from engine.device.cards import NVIDIA, has_nvidia

SIDE = 8  # of the matrices that are multiplied: too small for threads to be started


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport:
    """A device that computes.

    Attributes:
        name: what its maker calls it. driver, runtime: "" where there is none. free_mib: memory that nobody uses.
        hint: why a card that is there is not used; "" if there is nothing to say.
    """

    device: str
    name: str
    dtype: str
    total_mib: int
    free_mib: int
    driver: str = ""
    runtime: str = ""
    hint: str = ""


def probe(name: str, dtype_name: str) -> DeviceReport:
    """Multiply two matrices on the device that the settings name, in their precision. Raises: InvalidSetup."""
    with warnings.catch_warnings(record=True) as said:  # torch tells of a driver that is too old by a warning
        warnings.simplefilter("always")
        device = devices.choose_device(name)
        dtype = devices.choose_dtype(dtype_name, device)
        _compute(device, dtype)
    reason = "; ".join(str(each.message).splitlines()[0] for each in said if "CUDA" in str(each.message))
    on_card = device.type == "cuda"
    free, total = torch.cuda.mem_get_info(device) if on_card else (0, devices.memory_bytes(device))
    return DeviceReport(
        device=str(device),
        name=_name(device),
        dtype=str(dtype).removeprefix("torch."),
        total_mib=total >> 20,
        free_mib=free >> 20,
        driver=driver_version() if on_card else "",
        runtime=_runtime() if on_card else "",
        hint="" if on_card or not has_nvidia() else _why_not(reason),
    )


def _compute(device: torch.device, dtype: torch.dtype) -> None:
    try:
        ones = torch.ones(SIDE, SIDE, device=device, dtype=dtype)
        found = float((ones @ ones).sum())
    except (RuntimeError, AssertionError) as error:  # no kernel for this card, or not in this precision
        raise InvalidSetup(reason=f"{device} can't compute in {dtype} ({first_line(error)})") from error
    if found != SIDE**3:
        raise InvalidSetup(reason=f"{device} computes wrongly: {found:g} instead of {SIDE**3}")


def driver_version() -> str:
    """The NVIDIA driver's version; "" where the system does not tell."""
    text = NVIDIA.read_text() if NVIDIA.exists() else ""
    found = re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s", text)
    return found[1] if found else ""


def _why_not(reason: str) -> str:
    if torch.version.cuda is None:
        return "There is an NVIDIA card, but this PyTorch is the CPU build. Install the other: install.py --torch cuda"
    needed = f"PyTorch is built for CUDA {torch.version.cuda}"
    return (
        f"There is an NVIDIA card, but it isn't used: {needed}, and the driver is {driver_version() or 'unknown'}"
        + (f" ({reason})." if reason else ".")
    )


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)} (compute capability {major}.{minor})"
    return "Apple's GPU" if device.type == "mps" else f"processor, {devices.cores()} cores"


def _runtime() -> str:
    hip = getattr(torch.version, "hip", None)
    return f"ROCm {hip}" if hip else f"CUDA {torch.version.cuda}"
