"""Denoisers whose repeated blocks PyTorch's compiler makes programs of; what can't be compiled runs as it is.

A program is made at a block's first call with each shape, and computes the same bits from then on, after a restart too:
nothing is tried out against the clock, and no program is for several sizes, or who came first would decide which one
runs. Copies that share the weights, as a LoRA makes them, aren't compiled: each would need programs of its own.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from engine.api.errors import first_line
from engine.device import devices
from engine.device.failures import attempt, forget

log = logging.getLogger(__name__)

BACKEND = "inductor"
MOST_PROGRAMS = 4096  # of all blocks and shapes together; PyTorch's own 8 are few, and past them it compiles no more
OWN, COMPILED, LAID_OUT = "_is_compiled_for", "_compiled_as", "_laid_out"  # in a module's __dict__
CONVOLUTIONAL = ("unet", "vae")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """Prepares modules for a device. `exact`: the same bits whatever was compiled before."""

    device: torch.device
    exact: bool

    def prepare(self, name: str, module: torch.nn.Module, *, denoises: bool) -> None:
        """Lay a part of a pipeline out as the device computes it fastest, and have a denoiser's blocks compiled."""
        if name in CONVOLUTIONAL and devices.likes_channels_last(self.device):
            whole: Any = module
            whole.to(memory_format=torch.channels_last)
            module.__dict__[LAID_OUT] = True
        if denoises and getattr(module, "_repeated_blocks", None):
            self._compile(module)

    def _compile(self, module: Any) -> None:
        import torch._dynamo  # loaded when something is compiled, and not before

        torch._dynamo.config.accumulated_recompile_limit = MOST_PROGRAMS
        graphs = self.exact and self.device.type == "cuda"  # fixed row counts are fixed shapes
        options = {"deterministic": self.exact, "triton.cudagraphs": graphs} if BACKEND == "inductor" else None
        dynamic = False if self.exact else None
        raised = attempt(
            lambda: module.compile_repeated_blocks(
                backend=BACKEND, dynamic=dynamic, options=options, recompile_limit=MOST_PROGRAMS
            )
        )
        if isinstance(raised, Exception):
            return _give_up(module, raised)
        how = "compiled blocks, CUDA graphs" if graphs else "compiled blocks"
        module.__dict__.update({OWN: weakref.ref(module), COMPILED: how})


def is_compiled(module: torch.nn.Module) -> bool:
    """Whether its blocks are; a copy's never are."""
    owner = module.__dict__.get(OWN)
    return owner is not None and owner() is module


def told(module: torch.nn.Module) -> str:
    """As recipes and /models say it; "" when nothing is done to it."""
    laid_out = "channels last" if LAID_OUT in module.__dict__ else ""
    return ", ".join(filter(None, (laid_out, module.__dict__[COMPILED] if is_compiled(module) else "")))


def undo(module: torch.nn.Module) -> None:
    """Have its blocks run as they are from now on."""
    for block in module.modules() if is_compiled(module) else ():
        block._compiled_call_impl = None
    module.__dict__.pop(OWN, None)


def call(module: torch.nn.Module, method: str, *args: Any, changed: bool = False, **kwargs: Any) -> Any:
    """Call a module that may be compiled; `changed`: for this call something in it isn't as it was compiled."""
    run = getattr(module, method)
    if not is_compiled(module):
        return run(*args, **kwargs)
    if changed:
        with _as_they_are():
            return run(*args, **kwargs)
    torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
    result = attempt(lambda: run(*args, **kwargs))
    if not isinstance(result, Exception):
        return result
    if devices.is_out_of_memory(result):
        raise result
    forget(result)
    with _as_they_are():
        output = run(*args, **kwargs)  # whatever this raises is no fault of the compiler's
    _give_up(module, result)
    return output


def trouble(device: str) -> str:
    """Why nothing can be compiled for a device; "" when a small program was."""
    program = torch.compile(lambda numbers: (numbers * 2 + 1).sum(), backend=BACKEND)
    raised = attempt(lambda: program(torch.ones(8, device=device)))
    return _reason(raised) if isinstance(raised, Exception) else ""


@contextmanager
def _as_they_are() -> Iterator[None]:
    with torch.compiler.set_stance("force_eager"):
        yield


def _give_up(module: torch.nn.Module, error: Exception) -> None:
    undo(module)
    log.warning("%s can't be compiled here (%s), so it runs as it is", type(module).__name__, _reason(error))


def _reason(error: Exception) -> str:
    return first_line(getattr(error, "inner_exception", error))  # PyTorch's own begins with the compiler's name
