"""What torch raises in a painting is an exception like any other: it must not end the process."""

import subprocess
import sys

RAISING = """
from contextlib import suppress
from operator import call

import torch
from greenlet import getcurrent

from engine.device.fibers import Fiber


def paint():
    while True:
        "a" * torch.tensor(3)  # torch raises, and Python then does it in another way
        with suppress(RuntimeError):
            torch.zeros(2) + torch.zeros(3)
        getcurrent().parent.switch("raised")


def at_depth(levels, work):
    return call(at_depth, levels - 1, work) if levels else work()


def otherwise(levels, work):
    return sorted([0], key=lambda _: otherwise(levels - 1, work)) if levels else [work()]


for begun in range(12):
    fiber = at_depth(begun, lambda: (new := Fiber(paint), new.advance())[0])
    for resumed in range(12):
        assert at_depth(resumed, fiber.advance) == "raised"
        otherwise(resumed, fiber.advance)
        sorted("x" * 50_000)  # writes over the stack
"""


def test_a_fiber_may_be_resumed_from_anywhere_and_raise() -> None:
    """Torch notes the frames that led to an error; those before a fiber's first are gone by then."""
    done = subprocess.run([sys.executable, "-c", RAISING], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
