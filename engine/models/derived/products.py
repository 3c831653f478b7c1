"""LoHa, LoKr and DoRA: changes of weights that are no plain product of two matrices, and diffusers leaves out.

A copied layer gets two hooks that add what the changed weight would: its change is multiplied out for the layer's call
and forgotten, so the file is all that stays in memory, and weights in fewer bits stay as they are.

Sources: FedPara (Hyeon-Woo et al. 2021, arXiv:2108.06098) for LoHa and its convolutions, KronA (Edalati et al. 2022,
arXiv:2212.10650) for LoKr, DoRA (Liu et al. 2024, arXiv:2402.09353, eq. 5). A weight other than 1 means what LyCORIS,
the tool that most of these files come from, means by its multiplier.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers.loaders.lora_conversion_utils import _maybe_map_sgm_blocks_to_diffusers
from torch import nn
from torch.nn import functional

from engine.models.files import lora_layers
from engine.models.files.lora_layers import folded, is_product
from engine.models.memory.sizes import DENOISERS
from engine.tasks.lora_tags import Weights

Factors = Mapping[str, torch.Tensor]
_ENDS = re.compile(
    r"[._](?:lora[._])?(hada_[wt][12](?:_[ab])?|lokr_[wt][12](?:_[ab])?|dora_scale|magnitude_vector|alpha|mid|up|down|A|B)"
    r"(?:\.default)?(?:\.weight)?$"
)
_TEXT = re.compile(r"(?:lora_te|lycoris_te|text_encoder)[._]?(\d?)[._](?:text_model[._])?")
_SAME = {"A": "down", "B": "up", "magnitude_vector": "dora_scale"}
# What kohya's SDXL files call otherwise: the original implementation's names, folded.
_ORIGINAL = (
    *(("input_blocks_0_0", "conv_in"), ("input_blocks", "down_blocks"), ("middle_block", "mid_block")),
    *(("output_blocks", "up_blocks"), ("in_layers_2", "conv1"), ("out_layers_3", "conv2")),
    *(
        ("emb_layers_1", "time_emb_proj"),
        ("skip_connection", "conv_shortcut"),
        ("downsamplers_0_op", "downsamplers_0_conv"),
    ),
)


def are_in(names: Iterable[str]) -> bool:
    """Whether a file's tensors are of one of these kinds, or else diffusers would leave a part of them out."""
    known = tuple(names)
    return any(map(is_product, known)) or lora_layers.is_read_in_part(known)


def attach(pipe: Any, weights: Factors, strength: Weights) -> int:
    """Change the pipeline's copied modules; how many layers were found. Raises: ValueError for what doesn't fit one."""
    layers = _layers(pipe, weights)
    found = 0
    for part, module in pipe.components.items():
        of_words = part.startswith("text_encoder")
        if part in DENOISERS or of_words:
            for name, layer in _changeable(module):
                factors = layers.get((part if of_words else "", name))
                if factors is not None:
                    _change(layer, factors, strength.words if of_words else strength.picture)
                    found += 1
    return found


def _layers(pipe: Any, weights: Factors) -> dict[tuple[str, str], dict[str, torch.Tensor]]:
    """The factors by text encoder ("" = the denoiser) and folded name of the layer."""
    named = {
        f"{each[: match.start()]}.{match[1]}": tensor
        for each, tensor in weights.items()
        if (match := _ENDS.search(each))
    }
    if hasattr(pipe, "unet"):
        named = _maybe_map_sgm_blocks_to_diffusers(named, pipe.unet.config)
    layers: dict[tuple[str, str], dict[str, torch.Tensor]] = {}
    for each, tensor in named.items():
        name, _, end = each.rpartition(".")
        flat = tensor.flatten() if end == "magnitude_vector" else tensor  # peft's are of rows, in any shape
        layers.setdefault(_place(name), {})[_SAME.get(end, end)] = flat
    return layers


def _place(name: str) -> tuple[str, str]:
    if match := _TEXT.match(name):
        return "text_encoder" + (f"_{match[1]}" if match[1] > "1" else ""), folded(name[match.end() :])
    name = folded(name)
    for theirs, ours in _ORIGINAL:
        name = name.replace(theirs, ours)
    return "", name


def _changeable(module: Any) -> Iterator[tuple[str, nn.Linear | nn.Conv2d]]:
    for name, layer in module.named_modules() if module is not None else ():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            yield folded(name.removeprefix("text_model.")), layer


# ---------------------------------------------------------------- a layer
def _change(layer: nn.Linear | nn.Conv2d, factors: Factors, strength: float) -> None:
    device = layer.weight.device
    placed = {name: tensor.to(device) for name, tensor in factors.items()}
    magnitude = placed.pop("dora_scale", None)
    change = _Change(placed, _shape(layer), strength, None)
    delta = change.delta()  # a file that is none for this layer is told now
    if magnitude is not None:
        if layer.weight.shape != delta.shape:
            raise ValueError("a DoRA can't change weights that are packed")
        change = replace(change, lengths=_lengths(layer.weight, delta, magnitude, strength))
    layer.register_forward_pre_hook(change.before)
    layer.register_forward_hook(change.after)


def _shape(layer: nn.Linear | nn.Conv2d) -> torch.Size:
    if isinstance(layer, nn.Linear):
        return torch.Size((layer.out_features, layer.in_features))
    return torch.Size((layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size))


def _lengths(weight: torch.Tensor, delta: torch.Tensor, magnitude: torch.Tensor, strength: float) -> torch.Tensor:
    """By what to multiply the changed weight's rows, (out, 1, ...), or columns, (1, in, ...)."""
    changed = weight.detach().float() + strength * delta.float()
    by_column = magnitude.dim() > 1 and magnitude.shape[0] == 1
    kept = 1 if by_column else 0
    lengths = changed.transpose(0, kept).flatten(1).norm(dim=1)
    factor: torch.Tensor = strength * (magnitude.float().flatten() / lengths - 1) + 1
    return factor.reshape(*[1] * kept, -1, *[1] * (weight.dim() - 1 - kept)).to(weight.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """What is done to one layer. `lengths`: of a DoRA's rows or columns; None for what is only added."""

    factors: Factors
    shape: torch.Size
    strength: float
    lengths: torch.Tensor | None

    def __deepcopy__(self, memo: Any) -> _Change:
        return self  # its tensors are never written

    def delta(self) -> torch.Tensor:
        """What is added to the weight, multiplied out."""
        return (_scale(self.factors) * _product(self.factors)).reshape(self.shape)

    def before(self, layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.lengths is None or self.lengths.shape[0] != 1:
            return args
        columns = self.lengths.flatten() if len(self.shape) == 2 else self.lengths
        return args[0] * columns.to(args[0]), *args[1:]

    def after(self, layer: Any, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        delta = (self.strength * self.delta()).to(args[0])
        added = functional.linear(args[0], delta) if delta.dim() == 2 else layer._conv_forward(args[0], delta, None)
        if self.lengths is None or self.lengths.shape[0] == 1:
            return output + added
        rows = (self.lengths.flatten() if delta.dim() == 2 else self.lengths.reshape(-1, 1, 1)).to(output)
        bias: torch.Tensor | int = (
            0 if layer.bias is None else layer.bias if delta.dim() == 2 else layer.bias[:, None, None]
        )
        return (output - bias + added) * rows + bias


# ---------------------------------------------------------------- products
def _scale(factors: Factors) -> float:
    """alpha / rank; a LoKr of whole matrices has no rank."""
    ranked = next((factors[name] for name in ("down", "hada_w1_b", "lokr_w2_b", "lokr_w1_b") if name in factors), None)
    if "alpha" not in factors or ranked is None:
        return 1.0
    return float(factors["alpha"]) / ranked.shape[0]


def _product(factors: Factors) -> torch.Tensor:
    if "up" in factors:
        return _of_two(factors["up"], factors["down"], factors.get("mid"))
    if "hada_w1_a" in factors:
        return _hada(factors, "1") * _hada(factors, "2")
    one, other = _kron(factors, "1"), _kron(factors, "2")
    return torch.kron(one.reshape(*one.shape, *[1] * (other.dim() - 2)), other)


def _of_two(up: torch.Tensor, down: torch.Tensor, core: torch.Tensor | None = None) -> torch.Tensor:
    """(out, r) x (r, in); with a core between them Tucker's (out, r) x (r, r, k, k) x (r, in) -> (out, in, k, k)."""
    if core is None:
        return up.flatten(1) @ down.flatten(1)
    return torch.einsum("or,rskl,si->oikl", up.flatten(1), core, down.flatten(1))


def _hada(factors: Factors, number: str) -> torch.Tensor:
    up, down, core = (factors.get(f"hada_{name}") for name in (f"w{number}_a", f"w{number}_b", f"t{number}"))
    assert up is not None
    assert down is not None
    return _of_two(up.T if core is not None else up, down, core)  # LyCORIS keeps it turned beside a core


def _kron(factors: Factors, number: str) -> torch.Tensor:
    whole = factors.get(f"lokr_w{number}")
    if whole is not None:
        return whole
    core, up, down = factors.get(f"lokr_t{number}"), factors[f"lokr_w{number}_a"], factors[f"lokr_w{number}_b"]
    return _of_two(up.T if core is not None else up, down, core)
