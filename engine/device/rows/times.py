"""The noise levels of a call's rows."""

from __future__ import annotations

from typing import Any

import torch

NAMES = ("timestep", "timesteps")  # of arguments: one value a row, so that schedules of different jobs share a call


def of_rows(time: Any, sample: torch.Tensor, rows: int) -> Any:
    """The noise level of each row; whole numbers become float32, which the time embedding makes of them anyway.

    Timetables are on the CPU, and a copy from there waits until the device has done all that it was asked before; a
    number is written into a new tensor without.
    """
    time = torch.as_tensor(time)
    time = (time if time.is_floating_point() else time.to(torch.float32)).reshape(-1)
    if time.device == sample.device or len(set(levels := time.tolist())) > 1:
        return time.to(sample.device).expand(rows)
    return torch.full((rows,), levels[0], dtype=time.dtype, device=sample.device)
