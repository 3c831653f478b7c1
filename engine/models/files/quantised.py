"""Weights that are kept in fewer bits: what a file's tensors say of it, and which package reads a folder's. Knows no
torch; but for `unscaled`, for the loader's thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SCALES = (".scale_weight", ".weight_scale")  # as ComfyUI's scaled fp8 files have called them, beside `.weight`
_DROPPED = (*SCALES, ".scale_input", ".input_scale", ".comfy_quant")
MARK = "scaled_fp8"
# What no scale alone makes numbers of again -> what to do.
_PACKED = (
    ((".absmax", ".quant_map", "bitsandbytes__nf4"), "packed by bitsandbytes"),
    ((".wscales", ".qweight", ".smooth_factor"), "packed by Nunchaku"),
    ((".weight_scale_2",), "packed in NVFP4"),
)
# The package that reads what diffusers calls by a method, in its configs' `quantization_config`.
_PACKAGES = {
    "bitsandbytes": ("bitsandbytes", "bitsandbytes"),
    "torchao": ("torchao", "torchao"),
    "quanto": ("optimum.quanto", "optimum-quanto"),
    "gguf": ("gguf", "gguf"),
    "modelopt": ("modelopt", "nvidia-modelopt"),
    "auto-round": ("auto_round", "auto-round"),
    "sdnq": ("sdnq", "sdnq"),
}


def packed(names: Iterable[str]) -> str:
    """How a file's tensors are packed, where that can't be undone here; "" where it can."""
    known = tuple(names)
    return next((what for marks, what in _PACKED if any(mark in name for mark in marks for name in known)), "")


def is_scaled(names: Iterable[str]) -> bool:
    """Whether some weights are to be multiplied by scales beside them."""
    return any(name.endswith(SCALES) or name == MARK for name in names)


def missing_package(config: Mapping[str, Any]) -> str:
    """What a part's config lacks here, as a sentence's end; "" when its weights can be read."""
    said = config.get("quantization_config")
    method = str(said.get("quant_method", "")) if isinstance(said, dict) else ""
    if not method:
        return ""
    module, package = next((found for name, found in _PACKAGES.items() if method.startswith(name)), ("", ""))
    if not module:
        return f"it is quantised by '{method}', which can't be read here; take the folder with full weights"
    if has(module):
        return ""
    return f"it is quantised by {package}, which isn't installed: pip install {package}, or take full weights"


def has(module: str) -> bool:
    """Whether a package is installed, without importing it."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def unscaled(path: Path, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The tensors of a scaled file, multiplied by their scales, in `dtype`."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        kept = (name for name in names if name != MARK and not name.endswith(_DROPPED))
        return {name: _whole(file, name, names, dtype) for name in kept}


def _whole(file: Any, name: str, names: set[str], dtype: torch.dtype) -> torch.Tensor:
    tensor: Any = file.get_tensor(name)
    beside = (name.removesuffix(".weight") + end for end in SCALES)
    scale = next((file.get_tensor(each) for each in beside if each in names and name.endswith(".weight")), None)
    if scale is None:
        own: torch.Tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
        return own
    factor = scale.float()
    if factor.dim() == 1 and factor.numel() == tensor.shape[0]:  # one a row
        factor = factor.reshape(-1, *[1] * (tensor.dim() - 1))
    whole: torch.Tensor = (tensor.float() * factor).to(dtype)
    return whole
