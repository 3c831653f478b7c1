"""Weights are mapped, so they begin wherever their file has them: that must not decide a picture's bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
MULTIPLIES = """
from engine.device import before_torch
import torch

row, weights = torch.randn(1, 64), torch.randn(96, 64)
expected = torch.nn.functional.linear(row, weights)
for begins in range(1, 16):
    elsewhere = torch.empty(weights.numel() + 16)[begins : begins + weights.numel()].view_as(weights)
    elsewhere.copy_(weights)
    assert torch.equal(torch.nn.functional.linear(row, elsewhere), expected), begins
"""


def test_a_row_is_added_up_alike_wherever_weights_begin() -> None:
    """In a process of its own, as an engine's: these tests have set MKL's mode before."""
    settings = {name: value for name, value in os.environ.items() if name != "MKL_CBWR"}
    command = [sys.executable, "-c", MULTIPLIES]
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
