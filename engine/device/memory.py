"""The device's memory, and everything that is moved into it and out of it. Lives in the engine's threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from engine.device import devices, heap

CGROUP = Path("/sys/fs/cgroup")


class DeviceMemory:
    """Puts modules onto the device, for good or for one call.

    Attributes:
        own: whether the device has memory of its own, so that a module can be elsewhere.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.own = device.type == "cuda"
        self._home: WeakKeyDictionary[torch.nn.Module, list[torch.Tensor]] = WeakKeyDictionary()
        self._ahead: WeakKeyDictionary[torch.nn.Module, tuple[Any, list[torch.Tensor]]] = WeakKeyDictionary()
        self._side: Any = None

    @classmethod
    def named(cls, device: str) -> DeviceMemory:
        """Of a device by its name."""
        return cls(torch.device(device))

    def free_bytes(self) -> int:
        """What nobody uses, in this process or another."""
        if self.device.type == "cuda":
            cached = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
            return torch.cuda.mem_get_info(self.device)[0] + cached
        return free_in_host() or devices.memory_bytes(self.device)

    def rest(self) -> None:
        """Nothing is computed for a while."""
        if self.device.type == "cpu":
            heap.trim()

    def free_cache(self) -> None:
        devices.free_cache(self.device)

    def place(self, module: torch.nn.Module) -> None:
        """Put it there for good."""
        if self.device.type != "cpu":  # where it is already
            module.to(self.device)

    def moved(self) -> None:
        """Weights have left the machine's memory for the device's: the system may have it."""
        if self.device.type != "cpu":
            heap.trim()

    def settle(self, module: torch.nn.Module) -> None:
        """Have it outside, ready to be brought."""
        for tensor in tensors_of(module):
            tensor.data = tensor.data.cpu().pin_memory() if self.own else tensor.data

    def bring(self, module: torch.nn.Module) -> None:
        """Have it there for a call; what was copied ahead is waited for."""
        event, copies = self._ahead.pop(module, (None, None))
        tensors = tensors_of(module)
        self._home[module] = [tensor.data for tensor in tensors]
        if copies is None or event is None:
            copies = [tensor.data.to(self.device, non_blocking=True) for tensor in tensors]
        else:
            here = torch.cuda.current_stream(self.device)
            here.wait_event(event)
            for copied in copies:
                copied.record_stream(here)
        for tensor, copied in zip(tensors, copies, strict=True):
            tensor.data = copied

    def take_back(self, module: torch.nn.Module) -> None:
        """After the call: its tensors are those outside again."""
        for tensor, data in zip(tensors_of(module), self._home.pop(module, ()), strict=False):
            tensor.data = data

    def copy_ahead(self, module: torch.nn.Module) -> None:
        """Begin to copy what is needed next, beside what is being computed."""
        if self.device.type != "cuda":
            return
        self._side = self._side or torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._side):
            copies = [tensor.data.to(self.device, non_blocking=True) for tensor in tensors_of(module)]
            self._ahead[module] = self._side.record_event(), copies


def tensors_of(module: torch.nn.Module) -> Sequence[torch.Tensor]:
    """Its parameters and buffers, each once; of what a library packed, the tensors inside: only those hold numbers."""
    known = (*module.parameters(), *module.buffers())
    return list({id(tensor): tensor for each in known for tensor in _inside(each)}.values())


def _inside(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    if not is_traceable_wrapper_subclass(tensor):
        yield tensor
        return
    for name in tensor.__tensor_flatten__()[0]:  # torchao's
        yield from _inside(getattr(tensor, name))


def bytes_of(module: torch.nn.Module) -> int:
    """What its parameters and buffers take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors_of(module))


def free_in_host() -> int:
    """Memory of the machine that could be had; 0 where neither system nor container tells."""
    return min(filter(None, (free_in_system(), free_in_container())), default=0)


def free_in_system() -> int:
    """Memory that the system could give; 0 where it does not tell."""
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("MemAvailable:")), 0)


def free_in_container() -> int:
    """What a container's limit leaves; 0 where there is none."""
    try:
        limit, used = ((CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return max(1, int(limit) - int(used) + int(stat.get("inactive_file", 0))) if limit != "max" else 0
    except (OSError, ValueError):
        return 0
