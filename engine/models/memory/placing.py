"""Keep a loaded pipeline's modules in memory as a rung of the ladder has it. Lives in the engine's threads.

Where a module is changes none of its numbers, so a model can be moved to a lower rung between two of its calls. Hooks
are called with the module they are of, and find what comes next among its own attributes: so copies that share the
weights, as a LoRA makes them, have hooks that work.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakSet

import torch
from torch import nn

from engine.device import compiler
from engine.device.compiler import Compiler
from engine.device.memory import DeviceMemory, bytes_of, tensors_of
from engine.device.rows import adapter_rows
from engine.models.memory.ladder import WHOLE, Rung
from engine.models.memory.shrink import shrink
from engine.models.memory.sizes import DENOISERS, ENCODERS

NEXT = "_comes_next"  # in a block's __dict__, out of torch's sight: a list of the block after it
OUTSIDE = "_outside"  # in a module's __dict__: that it is on the device for its calls only
LARGE, FEW = 0.08, 0.01  # of a module's bytes: what is larger comes in its own blocks, what is smaller stays


@dataclass(eq=False)
class Placing:
    """A pipeline's modules, and where they are. It's made before they are read, so that each can be `put` at once.

    Attributes:
        pipe: the pipeline, once all of it is read.
        nbytes: on the device between calls. compiler: prepares what stays on the device; None = it runs as it is.
    """

    memory: DeviceMemory
    rung: Rung = WHOLE
    pipe: Any = None
    nbytes: int = 0
    compiler: Compiler | None = None
    _put: WeakSet[nn.Module] = field(default_factory=WeakSet)

    def put(self, name: str, module: nn.Module) -> None:
        """Bring a part into memory. May raise out-of-memory; what is there then, `empty` lets go."""
        self._put.add(module)
        wanted = self._is_large(name)
        if wanted and self.rung.bits:
            shrink(module, self.rung.bits, self.memory.device)
        if wanted and self.rung.stream:
            self._stream(module)
        elif self.rung.leave and name.startswith(ENCODERS):
            self._leave(module)
        else:
            self.memory.place(module)
        if self.compiler is not None and not self.rung.stream:
            self.compiler.prepare(name, module, denoises=name in DENOISERS)

    def left(self) -> list[tuple[str, nn.Module]]:
        """The pipeline's modules that were not put yet."""
        return [(name, module) for name, module in self._modules() if module not in self._put]

    def count(self) -> None:
        """See anew what is on the device between calls."""
        self.nbytes = sum(_inside(module) for _, module in self._modules())

    def told(self) -> str:
        """As in "whole, 6.9 GB"."""
        return ", ".join(filter(None, (self.rung.name, self.compiled, f"{self.nbytes / 1e9:.1f} GB")))

    @property
    def compiled(self) -> str:
        """What was done to its denoiser that decides a picture's bits, as in "compiled blocks"."""
        return next((compiler.told(module) for name, module in self._modules() if name in DENOISERS), "")

    def thin_out(self) -> bool:
        """Let the text encoders leave the device between calls. Returns whether that made room."""
        if not self.memory.own or self.rung.leave or self.rung.stream:
            return False
        encoders = [module for name, module in self._modules() if name.startswith(ENCODERS)]
        for module in encoders:
            self._leave(module)
        self.rung = replace(self.rung, name=_joined(self.rung, "encoders leave"), leave=True)
        self.count()
        return bool(encoders)

    def offload(self) -> bool:
        """Have the denoiser come to the device block by block. Returns whether that made room."""
        if not self.memory.own or self.rung.stream:
            return False
        for name, module in self._modules():
            if name in DENOISERS:
                self._stream(module)
        self.rung = replace(self.rung, name=_joined(self.rung, "offload"), stream=True)
        self.count()
        return True

    def empty(self, beside: Iterable[Placing]) -> None:
        """Free the weights, whoever still refers to the modules: libraries leave circles of references behind.

        `beside`: of models whose modules and tensors this one shares, which stay.
        """
        theirs = [module for each in beside for _, module in each._modules()]
        kept = {id(tensor) for module in theirs for tensor in tensors_of(module)}
        for module in self._put | {module for _, module in self._modules()}:
            for tensor in tensors_of(module):
                if id(tensor) not in kept:
                    tensor.data = torch.empty(0, dtype=tensor.dtype, device=tensor.device)

    # ------------------------------------------------------------------ modules
    def _modules(self) -> list[tuple[str, nn.Module]]:
        components = {} if self.pipe is None else self.pipe.components
        return [(name, part) for name, part in components.items() if isinstance(part, nn.Module)]

    @staticmethod
    def _is_large(name: str) -> bool:
        return name in DENOISERS or name.startswith(ENCODERS)

    def _leave(self, module: nn.Module) -> None:
        self.memory.settle(module)
        _hook(module, self.memory)

    def _stream(self, module: nn.Module) -> None:
        compiler.undo(module)
        adapter_rows.apart(module)  # its LoRAs come to the device with its own blocks
        for chain in list(_chains(module, bytes_of(module))):
            for block, following in itertools.zip_longest(chain, chain[1:]):
                self.memory.settle(block)
                block.__dict__[NEXT] = [following]
                _hook(block, self.memory)
        for child in _rest(module):
            self.memory.place(child)


def _joined(rung: Rung, more: str) -> str:
    return more if rung.name == WHOLE.name else f"{rung.name}, {more}"


def _hook(module: nn.Module, memory: DeviceMemory) -> None:
    """Have it on the device for its calls, however it got there, and copies of it too."""
    if module.__dict__.get(OUTSIDE):
        return
    module.__dict__[OUTSIDE] = True

    def come(module: nn.Module, *_: Any) -> None:
        memory.bring(module)
        for following in module.__dict__.get(NEXT, ()):
            if following is not None:
                memory.copy_ahead(following)

    def go(module: nn.Module, *_: Any) -> None:
        memory.take_back(module)

    module.register_forward_pre_hook(come)
    module.register_forward_hook(go, always_call=True)


def _inside(module: nn.Module) -> int:
    """Bytes of it that are on the device between calls."""
    if module.__dict__.get(OUTSIDE):
        return 0
    outside = [part for part in module.modules() if part.__dict__.get(OUTSIDE)]
    return bytes_of(module) - sum(map(bytes_of, outside))


def _chains(module: nn.Module, whole: int) -> Iterator[Sequence[nn.Module]]:
    """Its blocks, as chains of those that are called one after the other; none is large beside the whole of it."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            small = [each for each in child if bytes_of(each) <= LARGE * whole or not _has_lists(each)]
            yield [each for each in small if bytes_of(each)]
            for each in child:
                if all(each is not other for other in small):
                    yield from _chains(each, whole)
        elif _has_lists(child):
            yield from _chains(child, whole)
        elif bytes_of(child) >= FEW * whole and not isinstance(child, nn.Embedding):
            yield [child]


def _has_lists(module: nn.Module) -> bool:
    return any(isinstance(part, nn.ModuleList) for part in module.modules())


def _rest(module: nn.Module) -> Sequence[nn.Module]:
    """What stays on the device: every module with tensors of its own that is in no block."""
    outside = {id(part) for block in module.modules() if block.__dict__.get(OUTSIDE) for part in block.modules()}
    return [_Own(part) for part in module.modules() if id(part) not in outside and _own(part)]


def _own(module: nn.Module) -> bool:
    return any(tensor is not None for tensor in (*module._parameters.values(), *module._buffers.values()))


class _Own(nn.Module):
    """A module's own tensors, without those of its children."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._parameters = module._parameters
        self._buffers = module._buffers
