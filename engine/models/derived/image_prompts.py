"""A model that reads pictures as it reads words, by an IP-Adapter."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from transformers import CLIPVisionModelWithProjection

from engine.device.exclusive import exclusive
from engine.device.failures import loaded
from engine.device.loader import Tell
from engine.imaging.masks import Size
from engine.models.derived.variants import kept, shared_copy, variant_of
from engine.models.files import parts
from engine.models.files.hashes import Hashes
from engine.models.files.weights import bytes_of, named_as_it_is
from engine.models.ip_adapters import IpAdapter
from engine.models.memory.sizes import DENOISERS
from engine.models.model_cache import Model, ModelCache
from engine.tasks.pictures import ImagePrompt, Share, Use

Where = tuple[tuple[Share | None, ...], Size]


def with_ip_adapter(
    base: Model, adapter: IpAdapter, prompts: Sequence[ImagePrompt], size: Size, now: float, cache: ModelCache
) -> Model:
    """The model that reads pictures too, each prompt by its own copy of the adapter at its own scale. Raises: NotYet.

    The files are loaded once for so many prompts. `size`: of what is painted.
    """
    hashes, copies = cache.hashes, len(prompts)
    key = ("ip_adapter", adapter.name, copies)
    nbytes = adapter.path.stat().st_size * copies + bytes_of(adapter.encoder)
    loaded = kept(base, key, now, cache, nbytes, lambda tell: _with_eyes(base, adapter, copies, hashes, tell))
    scales, parts = tuple((each.use, each.scale) for each in prompts), tuple(each.part for each in prompts)
    where = (parts, size) if any(parts) else None
    return kept(loaded, ("scale", scales, where), now, cache, 0, lambda _: _scaled(loaded, scales, where))


def _with_eyes(base: Model, adapter: IpAdapter, copies: int, hashes: Hashes, tell: Tell) -> Model:
    pipe = copy.copy(base.pipe)
    _part_of_its_own(pipe)
    loaded(f"{base.key} with {adapter.name}", lambda: _load_ip_adapter(pipe, adapter, copies))
    encoder = pipe.image_encoder
    nbytes = copies * adapter.path.stat().st_size + sum(p.numel() * p.element_size() for p in encoder.parameters())
    files = {adapter.name: adapter.path, "image_encoder": adapter.encoder}
    return variant_of(base, pipe, nbytes, {name: hashes.of(path, tell) for name, path in files.items()})


def _part_of_its_own(pipe: Any) -> None:
    """Give a copy of a pipeline a denoiser of its own, around the same memory."""
    with exclusive.changing():
        for name in DENOISERS:
            if getattr(pipe, name, None) is not None:
                pipe.__dict__[name] = shared_copy(getattr(pipe, name))


def _load_ip_adapter(pipe: Any, adapter: IpAdapter, copies: int) -> None:
    """With diffusers' own loader. The CLIP comes first: that loader would take a pickle for it too."""
    slow = {"low_cpu_mem_usage": False}  # saving memory patches torch for every thread
    encoder = parts.load(adapter.name, CLIPVisionModelWithProjection, adapter.encoder, dtype=pipe.dtype)
    pipe.register_modules(image_encoder=encoder.to(pipe.device))
    with named_as_it_is(adapter.path) as file:
        named = {"subfolder": [""] * copies, "weight_name": [file.name] * copies}
        pipe.load_ip_adapter([str(file.parent)] * copies, **named, local_files_only=True, **slow)


# Which attention layers of SDXL read a picture's style, and which where things are: InstantStyle (Wang et al. 2024,
# section 3.2) and diffusers' documentation, "IP-Adapter", "Style & layout control".
_LAYERS: Mapping[Use, Callable[[float], Any]] = {
    "all": lambda scale: scale,
    "style": lambda scale: {"up": {"block_0": [0.0, scale, 0.0]}},
    "composition": lambda scale: {"down": {"block_2": [0.0, scale]}},
}


def _scaled(loaded: Model, scales: Sequence[tuple[Use, float]], where: Where | None) -> Model:
    pipe = copy.copy(loaded.pipe)
    _part_of_its_own(pipe)
    pipe.set_ip_adapter_scale([_LAYERS[use](scale) for use, scale in scales])
    if where is not None:
        _bound(pipe.unet, *where)
    scaled = variant_of(loaded, pipe, 0, {})
    scaled.encoders = loaded.encoders  # of the same encoders, so a picture is read once, however loudly it speaks
    return scaled


def _bound(unet: Any, parts: Sequence[Share | None], size: Size) -> None:
    """Have each copy of the adapter add to its part of the picture alone, as diffusers' `ip_adapter_masks` have it.

    As an argument of each call a mask would be taken for a row of its own where there is one row.
    """
    masks = [None if part is None else _mask(part, size) for part in parts]
    for layer in unet.modules():
        processor = getattr(layer, "processor", None)
        if hasattr(processor, "to_k_ip"):
            layer.processor = _Bound(processor, masks)


def _mask(part: Share, size: Size) -> torch.Tensor:
    """(1, 1, H, W), 1 within the part."""
    width, height = size
    left, right = (round(each * width) for each in part[::2])
    top, bottom = (round(each * height) for each in part[1::2])
    mask = torch.zeros(1, 1, height, width)
    mask[..., top : max(bottom, top + 1), left : max(right, left + 1)] = 1.0
    return mask


class _Bound(torch.nn.Module):
    """A processor of attention whose references each count in a part of the picture."""

    def __init__(self, processor: Any, masks: Sequence[torch.Tensor | None]) -> None:
        super().__init__()
        self._processor, self._masks = processor, masks

    def __call__(self, attn: Any, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
        masks = [None if mask is None else mask.to(hidden_states.device) for mask in self._masks]
        return self._processor(attn, hidden_states, *args, ip_adapter_masks=masks, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name == "_processor" else getattr(self._processor, name)
