"""Calls of different LoRAs in one forward: the model's own layers compute all rows, and each LoRA adds to its own.

A LoRA's module is a copy of the model's around the same weights, whose layers peft has wrapped. So what it adds can as
well be added, row by row, to what the model's own layers make of the rows of many: rows of other LoRAs, and of none.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

SHARES, ADDED = "_shares_rows_with", "_added_by_layer"  # in a module's __dict__, out of torch's sight
# Whose layers all have a call's rows as their first dimension.
ROWS_FIRST = ("UNet2DConditionModel", "SD3Transformer2DModel", "FluxTransformer2DModel")


def share(adapted: torch.nn.Module, base: torch.nn.Module) -> None:
    """Have a LoRA's module compute together with the one it was copied from, if plain LoRAs are all that differs."""
    from peft.tuners.lora.layer import Conv2d, Linear, LoraLayer  # loaded with the LoRA, if not before

    layers = [(name, layer) for name, layer in adapted.named_modules() if isinstance(layer, LoraLayer)]
    plain = all(type(layer) in (Linear, Conv2d) and not layer.lora_variant for _, layer in layers)
    if plain and type(base).__name__ in ROWS_FIRST:
        adapted.__dict__.update({SHARES: weakref.ref(base), ADDED: layers})


def apart(module: torch.nn.Module) -> None:
    """Have it compute by itself again."""
    module.__dict__.pop(SHARES, None)


def shared(module: torch.nn.Module) -> torch.nn.Module:
    """The module that computes the rows of a call of this one: itself, where it has no LoRA."""
    found = module.__dict__.get(SHARES)
    return module if found is None else found() or module


@contextmanager
def adding(calls: Sequence[Any]) -> Iterator[bool]:
    """For one forward of the module that these calls share, in whose rows they follow each other: whether some add."""
    by_layer: dict[str, list[tuple[slice, Any]]] = {}
    end = 0
    for call in calls:
        start, end = end, end + call.rows
        for name, layer in call.module.__dict__[ADDED] if call.module is not call.target else ():
            by_layer.setdefault(name, []).append((slice(start, end), layer))
    base: torch.nn.Module = calls[0].target
    hooks = [base.get_submodule(name).register_forward_hook(_hook(added)) for name, added in by_layer.items()]
    try:
        yield bool(hooks)
    finally:
        for hook in hooks:
            hook.remove()


def _hook(added: Sequence[tuple[slice, Any]]) -> Any:
    def add(_: torch.nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        for rows, layer in added:
            _add(layer, args[0][rows], output[rows])
        return output

    return add


def _add(layer: Any, x: torch.Tensor, result: torch.Tensor) -> None:
    """As peft's own layers do, in their order, to the result itself."""
    for name in layer.active_adapters:
        if name in layer.lora_A:
            down, up = layer.lora_A[name], layer.lora_B[name]
            result += up(down(x.to(down.weight.dtype))) * layer.scaling[name]
