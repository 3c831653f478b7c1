"""A device with so many bytes, simulated: what is on it is counted by itself, and what doesn't fit raises.

It computes on the processor. Weights are on it from the moment the engine places or brings a module until it takes it
back or nobody refers to the memory any more, whatever the engine believes; so what a traceback or a cache keeps alive
is still there. A forward takes room for its activations, in proportion to what goes in.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import diffusers
import pytest
import torch
import transformers
from diffusers.models.autoencoders.vae import Decoder, Encoder
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from engine.device.memory import DeviceMemory, tensors_of
from engine.runtime import worker

Key = tuple[int, int]
FORWARDS: dict[type, str] = {
    diffusers.UNet2DConditionModel: "denoise",
    diffusers.SD3Transformer2DModel: "denoise",
    diffusers.FluxTransformer2DModel: "denoise",
    Decoder: "decode",
    Encoder: "encode a picture",
    transformers.CLIPTextModel: "encode",
    transformers.CLIPTextModelWithProjection: "encode",
    transformers.T5EncoderModel: "encode",
}


class SmallCard(DeviceMemory):
    """Attributes:

    capacity: bytes. activations: bytes of a forward for each number that goes in, by kind of call.
    weights_most: bytes of weights that were on it at once. raised: what did not fit. full: asked before each move
        and forward; where it says so, the card is full.
    """

    def __init__(self, capacity: int, activations: dict[str, float] | None = None) -> None:
        super().__init__(torch.device("cpu"))
        self.own, self.capacity, self.activations = True, capacity, activations or {}
        self.weights_most = 0
        self.raised: list[str] = []
        self.full: Callable[[str], bool] = lambda what: False
        self._weights: dict[Key, tuple[StorageWeakRef, int]] = {}
        self._rooms: dict[Key, tuple[StorageWeakRef, int]] = {}
        self._outside: WeakKeyDictionary[nn.Module, list[torch.Tensor]] = WeakKeyDictionary()
        self._lock = threading.RLock()

    def weights(self) -> int:
        """Bytes of weights on it."""
        return _alive(self._weights, self._lock)

    def free_bytes(self) -> int:
        return self.capacity - self.weights() - _alive(self._rooms, self._lock)

    def take(self, what: str, tensors: Sequence[torch.Tensor], into: dict[Key, Any]) -> None:
        """Have these tensors on it, copied as a real device's would be. Raises: torch.OutOfMemoryError."""
        with self._lock:
            self.weights()
            fresh = [tensor for tensor in tensors if _key(tensor) not in into]
            wanted = sum(tensor.nbytes for tensor in fresh)
            if wanted and (self.full(what) or wanted > self.free_bytes()):
                self.raised.append(what)
                raise torch.OutOfMemoryError(f"{what}: {wanted:,} bytes wanted, {self.free_bytes():,} free")
            for tensor in fresh:
                tensor.data = tensor.data.clone()
                into[_key(tensor)] = StorageWeakRef(tensor.untyped_storage()), tensor.nbytes
            self.weights_most = max(self.weights_most, self.weights())

    def leave(self, tensors: Sequence[torch.Tensor]) -> None:
        with self._lock:
            for tensor in tensors:
                self._weights.pop(_key(tensor), None)

    # ------------------------------------------------------------------ what the engine asks of a device
    def place(self, module: nn.Module) -> None:
        self.take("load", tensors_of(module), self._weights)

    def settle(self, module: nn.Module) -> None:
        self.leave(tensors_of(module))

    def bring(self, module: nn.Module) -> None:
        tensors = tensors_of(module)
        self._outside[module] = [tensor.data for tensor in tensors]
        try:
            self.take("bring", tensors, self._weights)
        except torch.OutOfMemoryError:
            del self._outside[module]
            raise

    def take_back(self, module: nn.Module) -> None:
        for tensor, data in zip(tensors_of(module), self._outside.pop(module, ()), strict=False):
            tensor.data = data

    def free_cache(self) -> None:
        """Nothing is cached."""

    def room(self, what: str, numbers: int) -> torch.Tensor:
        """Memory for the activations of one forward, as long as somebody holds it."""
        room = torch.empty(int(numbers * self.activations.get(what, 0.0)) + 1, dtype=torch.uint8)
        self.take(what, [room], self._rooms)
        return room


def _key(tensor: torch.Tensor) -> Key:
    return tensor.untyped_storage()._cdata, tensor.data_ptr()


def _alive(known: dict[Key, tuple[StorageWeakRef, int]], lock: Any) -> int:
    with lock:
        for key in [key for key, (storage, _) in known.items() if storage.expired()]:
            del known[key]
        return sum(size for _, size in known.values())


def install(card: SmallCard, monkeypatch: pytest.MonkeyPatch) -> SmallCard:
    """Have every engine that is built from now on work on this card."""
    monkeypatch.setattr(worker, "DeviceMemory", lambda device: card)
    for module, what in FORWARDS.items():
        monkeypatch.setattr(module, "forward", _taking_room(card, what, module.forward))
    return card


def _taking_room(card: SmallCard, what: str, forward: Any) -> Any:
    @functools.wraps(forward)  # the engine reads the names of its arguments
    def inside(self: Any, *args: Any, **kwargs: Any) -> Any:
        sample = next(each for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor))
        room = card.room(what, sample.numel())
        try:
            return forward(self, *args, **kwargs)
        finally:
            assert room is not None

    return inside
