"""A model as adapters change it: a second model that shares the first one's weights.

Of LoRAs, textual inversions and IP-Adapters: the modules are copied without their tensors, and diffusers' own loaders
put the adapters into the copies. So the model itself is never touched, its pictures stay what they are, and calls of
different adapters are calls of different modules, which are never joined. A ControlNet leaves the modules alone and
only adds to what the UNet computes, so calls with and without one are joined. All but what is loaded, which the
loader's thread does, lives in the engine's thread.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors.torch import load_file
from transformers import CLIPVisionModelWithProjection

from engine.api.errors import InvalidRequest
from engine.device.exclusive import exclusive
from engine.device.failures import loaded
from engine.device.loader import Load, Tell
from engine.models import controlnets
from engine.models.adapters import Adapter
from engine.models.controlnets import ControlNet
from engine.models.files.hashes import Hashes
from engine.models.files.weights import weights_in
from engine.models.ip_adapters import IpAdapter
from engine.models.memory.placing import Placing
from engine.models.memory.sizes import DENOISERS
from engine.models.model_cache import Model, ModelCache
from engine.tasks import lora_tags
from engine.tasks.lora_tags import Weights
from engine.tasks.pictures import ImagePrompt, Use

MOST_IDLE = 8  # variants of a model that are kept though nobody uses them

Wanted = Mapping[Adapter, Weights]


def of(base: Model, wanted: Wanted, now: float, cache: ModelCache) -> Model:
    """The model with these adapters at these weights; itself when there are none. Raises: NotYet."""
    if not wanted:
        return base
    key = tuple((adapter.kind, adapter.name, weight) for adapter, weight in wanted.items())
    nbytes = sum(adapter.path.stat().st_size for adapter in wanted)
    return _kept(base, key, now, cache, nbytes, lambda tell: _made(base, wanted, nbytes, cache.hashes, tell))


def _kept(
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


def _made(base: Model, wanted: Wanted, nbytes: int, hashes: Hashes, tell: Tell) -> Model:
    names = " and ".join(adapter.name for adapter in wanted)
    pipe, loras = copy.copy(base.pipe), {a: weight for a, weight in wanted.items() if a.kind == "lora"}
    words = [adapter for adapter in wanted if adapter.kind == "embedding"]
    with exclusive.changing():  # a step may be changing the modules themselves for its while
        _share(base.pipe, pipe, denoiser=bool(loras), own_words=bool(words))

    def attach() -> None:
        for word in words:
            _add_embedding(pipe, word)
        _attach(pipe, loras)

    loaded(f"{base.key} with {names}", attach)
    return _variant(base, pipe, nbytes, {adapter.name: hashes.of(adapter.path, tell) for adapter in wanted})


def _share(old: Any, pipe: Any, *, denoiser: bool, own_words: bool) -> None:
    """Give a copy of a pipeline modules of its own, around the same memory, where adapters will change them."""
    for name, part in old.components.items():
        if denoiser and part is not None and name in DENOISERS:
            pipe.__dict__[name] = shared_copy(part)
        elif part is not None and name.startswith("text_encoder"):
            pipe.__dict__[name] = shared_copy(part, own_words=own_words)
        elif own_words and part is not None and name.startswith("tokenizer"):
            pipe.__dict__[name] = copy.deepcopy(part)


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


def _attach(pipe: Any, loras: Wanted) -> None:
    names = [f"easel{number}" for number in range(len(loras))]  # peft looks for "lora_" in names
    for name, adapter in zip(names, loras, strict=True):
        pipe.load_lora_weights(load_file(adapter.path), adapter_name=name)
    if names:
        pipe.set_adapters(names, [_by_part(pipe, weights) for weights in loras.values()])


def _by_part(pipe: Any, weights: Weights) -> Any:
    """A LoRA's weights as diffusers takes them: one number where both are alike."""
    if weights.words == weights.picture:
        return weights.picture
    parts = {name: weights.words for name in pipe.components if name.startswith("text_encoder")}
    return {**parts, **{name: weights.picture for name in DENOISERS if name in pipe.components}}


def _add_embedding(pipe: Any, word: Adapter) -> None:
    """Give the text encoders the word's vectors, as the file has them for each."""
    vectors = load_file(word.path)
    if len(word.body.clips) == 1:
        pipe.load_textual_inversion(vectors, token=lora_tags.token(word.name))
        return
    for part, suffix in (("clip_l", ""), ("clip_g", "_2")):
        encoder, tokenizer = getattr(pipe, f"text_encoder{suffix}"), getattr(pipe, f"tokenizer{suffix}")
        pipe.load_textual_inversion(
            vectors[part], token=lora_tags.token(word.name), text_encoder=encoder, tokenizer=tokenizer
        )


def with_ip_adapter(
    base: Model, adapter: IpAdapter, prompts: Sequence[ImagePrompt], now: float, cache: ModelCache
) -> Model:
    """The model that reads pictures too, each prompt by its own copy of the adapter at its own scale. Raises: NotYet.

    The files are loaded once for so many prompts.
    """
    hashes, copies = cache.hashes, len(prompts)
    key = ("ip_adapter", adapter.name, copies)
    nbytes = adapter.path.stat().st_size * copies + _bytes(adapter.encoder)
    loaded = _kept(base, key, now, cache, nbytes, lambda tell: _with_eyes(base, adapter, copies, hashes, tell))
    scales = tuple((each.use, each.scale) for each in prompts)
    return _kept(loaded, ("scale", scales), now, cache, 0, lambda _: _scaled(loaded, scales))


def _with_eyes(base: Model, adapter: IpAdapter, copies: int, hashes: Hashes, tell: Tell) -> Model:
    pipe = copy.copy(base.pipe)
    with exclusive.changing():
        pipe.__dict__["unet"] = shared_copy(base.pipe.unet)
    loaded(f"{base.key} with {adapter.name}", lambda: _load_ip_adapter(pipe, adapter, copies))
    encoder = pipe.image_encoder
    nbytes = copies * adapter.path.stat().st_size + sum(p.numel() * p.element_size() for p in encoder.parameters())
    files = {adapter.name: adapter.path, "image_encoder": adapter.encoder}
    return _variant(base, pipe, nbytes, {name: hashes.of(path, tell) for name, path in files.items()})


def _load_ip_adapter(pipe: Any, adapter: IpAdapter, copies: int) -> None:
    """With diffusers' own loader. The CLIP comes first: that loader would take a pickle for it too."""
    slow = {"low_cpu_mem_usage": False}  # saving memory patches torch for every thread
    encoder: Any = CLIPVisionModelWithProjection.from_pretrained(
        adapter.encoder, dtype=pipe.unet.dtype, use_safetensors=True, local_files_only=True
    )
    pipe.register_modules(image_encoder=encoder.to(pipe.unet.device))
    folder, name = str(adapter.path.parent), adapter.path.name
    pipe.load_ip_adapter(
        [folder] * copies, subfolder=[""] * copies, weight_name=[name] * copies, local_files_only=True, **slow
    )


# Which attention layers of SDXL read a picture's style, and which where things are: InstantStyle (Wang et al. 2024,
# section 3.2) and diffusers' documentation, "IP-Adapter", "Style & layout control".
_LAYERS: Mapping[Use, Callable[[float], Any]] = {
    "all": lambda scale: scale,
    "style": lambda scale: {"up": {"block_0": [0.0, scale, 0.0]}},
    "composition": lambda scale: {"down": {"block_2": [0.0, scale]}},
}


def _scaled(loaded: Model, scales: Sequence[tuple[Use, float]]) -> Model:
    pipe = copy.copy(loaded.pipe)
    with exclusive.changing():
        pipe.__dict__["unet"] = shared_copy(loaded.pipe.unet)
    pipe.set_ip_adapter_scale([_LAYERS[use](scale) for use, scale in scales])
    variant = _variant(loaded, pipe, 0, {})
    variant.encoders = loaded.encoders  # of the same encoders, so a picture is read once, however loudly it speaks
    return variant


def with_controlnets(base: Model, wanted: Sequence[ControlNet], now: float, cache: ModelCache) -> Model:
    """The model that follows these, in that order; its denoiser is the model's own. Raises: NotYet, InvalidRequest.

    Each is loaded once, as a variant of the model with those before it.
    """
    if any(each.made == controlnets.UNION for each in wanted) and len({each.path for each in wanted}) > 1:
        raise InvalidRequest(
            "A ControlNet Union of SDXL can't be mixed with other ControlNets.", "Use one or the other."
        )
    holder, loaded_ones = base, dict[Path, Any]()
    for each in wanted:
        if each.path not in loaded_ones:
            make = partial(_with_controlnet, holder, each, cache.hashes)
            holder = _kept(holder, ("controlnet", str(each.path)), now, cache, _bytes(each.path), make)
            loaded_ones[each.path] = _nets(holder.pipe)[-1]
    if len(wanted) == 1 or wanted[0].made == controlnets.UNION:
        return holder
    nets, key = [loaded_ones[each.path] for each in wanted], tuple(str(each.path) for each in wanted)
    return _kept(holder, ("led by", key), now, cache, 0, lambda _: _variant(holder, _led(base.pipe, nets), 0, {}))


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in weights_in(path))


def _nets(pipe: Any) -> list[Any]:
    found = getattr(pipe, "controlnet", None)
    return [] if found is None else list(getattr(found, "nets", None) or [found])


def _with_controlnet(base: Model, controlnet: ControlNet, hashes: Hashes, tell: Tell) -> Model:
    before = _nets(base.pipe)
    denoiser = getattr(base.root.pipe, "unet", None) or base.root.pipe.transformer

    def attached() -> tuple[Any, Any]:
        net = _controlnet_of(controlnet, denoiser).to(denoiser.device).eval()
        return net, _led(base.pipe, [*before, net])

    net, pipe = loaded(f"{base.key} with {controlnet.name}", attached)
    nbytes = sum(p.numel() * p.element_size() for p in net.parameters())
    return _variant(base, pipe, nbytes, {f"controlnet {controlnet.name}": hashes.of(controlnet.path, tell)})


def _led(pipe: Any, nets: Sequence[Any]) -> Any:
    """The pipeline of its kind that follows ControlNets, around the same parts."""
    if type(nets[0]).__name__ == controlnets.UNION:
        made: Any = diffusers.StableDiffusionXLControlNetUnionPipeline
        # its own `from_pipe` would change the parts' dtype, and no Auto class tells a Union from others
        parts, settings = made._get_signature_keys(made)
        known = {name: part for name, part in pipe.components.items() if name in parts}
        known |= {name: pipe.config[name] for name in settings if name in pipe.config}
        return made(**known, controlnet=nets[0], add_watermarker=False)
    auto: Any = diffusers.AutoPipelineForText2Image
    return auto.from_pipe(pipe, controlnet=nets[0] if len(nets) == 1 else list(nets))


def _controlnet_of(controlnet: ControlNet, denoiser: Any) -> Any:
    """A ControlNet from its folder, or from one file with the config that the model's own UNet implies."""
    made: Any = getattr(diffusers, controlnet.made)
    kwargs: dict[str, Any] = {"dtype": denoiser.dtype, "local_files_only": True}
    if controlnet.path.is_dir():
        return made.from_pretrained(controlnet.path, use_safetensors=True, low_cpu_mem_usage=False, **kwargs)
    with tempfile.TemporaryDirectory(prefix="easel-configs-") as folder:
        hint = {"conditioning_embedding_out_channels": controlnet.hint, "load_weights_from_unet": False}
        net = made.from_unet(denoiser, **hint)
        if controlnet.kinds:
            net.register_to_config(num_control_type=controlnet.kinds)
        net.save_config(folder)
        return made.from_single_file(str(controlnet.path), config=folder, **kwargs)


def _variant(base: Model, pipe: Any, nbytes: int, adapters: Mapping[str, str]) -> Model:
    return Model(
        key=base.key,
        info=base.info,
        pipe=pipe,
        sha256=base.sha256,
        scheduler=base.scheduler,
        placing=Placing(base.placing.memory, pipe, base.placing.rung),
        added_bytes=nbytes,
        base=base,
        adapters={**base.adapters, **adapters},
    )
