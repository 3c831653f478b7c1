"""Keep steps apart from what libraries change in torch for every thread while they build a model.

diffusers and transformers set torch's default dtype while they construct modules in half precision. A step that ran
meanwhile would compute other numbers. So either steps run or torch is changed, and who wants to change it goes first:
constructing takes a fraction of a second, and a thread that never rests would otherwise never let it in.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Exclusive:
    """Any number of threads may step at once, or one may change what they all depend on."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._stepping = self._wanting = 0
        self._changing = False
        self._own = threading.local()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Compute in this thread; waits while somebody changes torch, or wants to."""
        with self._turn:
            self._turn.wait_for(lambda: not (self._changing or self._wanting))
            self._stepping += 1
        self._own.steps = True
        try:
            yield
        finally:
            self._own.steps = False
            with self._turn:
                self._stepping -= 1
                self._turn.notify_all()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Have no step run meanwhile. May be entered again by the thread that is inside, or that steps itself."""
        if getattr(self._own, "steps", False) or getattr(self._own, "changes", False):
            yield
            return
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        with self._turn:
            self._wanting += 1
            self._turn.wait_for(lambda: not (self._changing or self._stepping))
            self._wanting -= 1
            self._changing = self._own.changes = True

    def leave(self) -> None:
        with self._turn:
            self._changing = self._own.changes = False
            self._turn.notify_all()

    # ------------------------------------------------------------------ the default dtype
    def set_default_dtype(self, dtype: Any) -> None:
        """In the place of torch's: no step runs from here until this thread sets it back."""
        if getattr(self._own, "steps", False):
            return _set_default_dtype(dtype)
        if dtype == NORMAL:
            _set_default_dtype(dtype)
            if getattr(self._own, "dtype_set", False):
                self._own.dtype_set = False
                self.leave()
        else:
            if not getattr(self._own, "changes", False):
                self.enter()
                self._own.dtype_set = True
            _set_default_dtype(dtype)

    def restore(self) -> None:
        """Set the dtype back, where a library that failed has left it."""
        if getattr(self._own, "dtype_set", False):
            self.set_default_dtype(NORMAL)


NORMAL = torch.get_default_dtype()
_set_default_dtype = torch.set_default_dtype
exclusive = Exclusive()


def guard() -> None:
    """Have every thread's `torch.set_default_dtype` wait for steps, from now on."""
    torch.set_default_dtype = exclusive.set_default_dtype
