"""A model as adapters change it: a second model that shares the first one's weights.

Of LoRAs, textual inversions and IP-Adapters: the modules are copied without their tensors, and diffusers' own loaders
put the adapters into the copies. So the model itself is never touched, and its pictures stay what they are. Calls of
different adapters are calls of different modules; those of LoRAs are joined all the same, in the module that they were
copied from (`engine.device.rows.adapter_rows`), the others never. A ControlNet leaves the modules alone and
only adds to what the UNet computes, so calls with and without one are joined. All but what is loaded, which the
loader's thread does, lives in the engine's thread.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import torch

from engine.device.loader import Load, Tell
from engine.models.memory.placing import Placing
from engine.models.model_cache import Model, ModelCache

MOST_IDLE = 8  # variants of a model that are kept though nobody uses them


def kept(
    base: Model, key: Hashable, now: float, cache: ModelCache, nbytes: int, make: Callable[[Tell], Model]
) -> Model:
    """The variant of that name. `nbytes`: what it adds. Raises: NotYet, when it must be made first; NoRoom."""
    if key not in base.variants:
        cache.loader.wait((id(base), key), lambda: _load(base, key, cache, nbytes, make))
    base.variants[key].last_used = now
    return base.variants[key]


def _load(base: Model, key: Hashable, cache: ModelCache, nbytes: int, make: Callable[[Tell], Model]) -> Load:
    cache.make_way(nbytes, keep=base)
    base.hold()

    def take(variant: Model) -> Model:
        base.variants[key] = variant
        _drop_idle(base, key)
        return variant

    return Load(key=(id(base), key), name=base.key, stage="load", work=make, take=take, ended=lambda: base.hold(-1))


def _drop_idle(base: Model, keep: object) -> None:
    idle = sorted((m.last_used, k) for k, m in base.variants.items() if m.idle and k != keep)
    for _, key in idle[: max(0, len(idle) - MOST_IDLE)]:
        base.variants.pop(key).forget()


def variant_of(base: Model, pipe: Any, nbytes: int, adapters: Mapping[str, str]) -> Model:
    return Model(
        key=base.key,
        info=base.info,
        pipe=pipe,
        hashed=base.hashed,
        scheduler=base.scheduler,
        placing=Placing(base.placing.memory, base.placing.rung, pipe),
        added_bytes=nbytes,
        base=base,
        adapters={**base.adapters, **adapters},
    )


def beside(model: Model, path: Path) -> torch.nn.Module:
    """What it, or a model whose weights it shares, was given from that file or folder, beside its pipeline."""
    return next(each.beside[path] for each in model.chain() if path in each.beside)


def shared_copy(module: torch.nn.Module, *, own_words: bool = False) -> torch.nn.Module:
    """The module's structure anew around the same memory; `own_words`: but for a text encoder's table of tokens."""
    whole: Any = module
    table = whole.get_input_embeddings().weight if own_words else None
    tensors = (*module.parameters(), *module.buffers())
    return copy.deepcopy(module, {id(tensor): _twin(tensor) for tensor in tensors if tensor is not table})


def _twin(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory with flags of its own: peft turns gradients off, and some kernels round by whether they're on."""
    if type(tensor) is not torch.nn.Parameter:  # one of its own kind, as of a GGUF, holds more than its numbers
        return tensor
    return torch.nn.Parameter(tensor.data, requires_grad=tensor.requires_grad)
