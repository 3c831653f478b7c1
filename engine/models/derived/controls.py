"""A model that follows pictures, by ControlNets and T2I-Adapters."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from engine.api.errors import InvalidRequest
from engine.device.failures import loaded
from engine.device.loader import Tell
from engine.models import controlnets
from engine.models.controlnets import ControlNet
from engine.models.derived import control_files
from engine.models.derived.variants import kept, variant_of
from engine.models.files import parts
from engine.models.files.hashes import Hashes
from engine.models.files.weights import bytes_of, named_as_it_is
from engine.models.model_cache import Model, ModelCache
from engine.models.whole import Shapes, read_header

# How Stability's ControlNets of SD3.5 read pictures, which diffusers leaves to its callers: edges as levels to 128, as
# their model card has it; depths with what is near dark, as ComfyUI reads them.
READS: dict[Any, Callable[[torch.Tensor], torch.Tensor]] = {
    control_files.CANNY: lambda levels: (levels + 1) / 2 * 255 * 0.5 + 0.5,
    control_files.DEPTH: lambda levels: -levels,
}


def with_controlnets(base: Model, wanted: Sequence[ControlNet], now: float, cache: ModelCache) -> Model:
    """The model that follows these, in that order; its denoiser is the model's own. Raises: NotYet, InvalidRequest.

    Each is loaded once, as a variant of the model with those before it.
    """
    beside = {each.path: each for each in wanted if each.made == controlnets.T2I}
    for each in beside.values():
        make = partial(_with_t2i_adapter, base, each, cache.hashes)
        base = kept(base, ("t2i", str(each.path)), now, cache, bytes_of(each.path), make)
    nets = [each for each in wanted if each.made != controlnets.T2I]
    return _led_by(base, nets, now, cache) if nets else base


def _with_t2i_adapter(base: Model, adapter: ControlNet, hashes: Hashes, tell: Tell) -> Model:
    """It is no part of a pipeline: what it sees is added to what the denoiser is given, in whatever pipeline."""
    unet = base.root.pipe.unet
    net = loaded(f"{base.key} with {adapter.name}", lambda: _from_folder(diffusers.T2IAdapter, adapter, unet.dtype))
    nbytes = sum(p.numel() * p.element_size() for p in net.parameters())
    made = variant_of(base, base.pipe, nbytes, {f"t2i-adapter {adapter.name}": hashes.of(adapter.path, tell)})
    made.beside[adapter.path] = net.to(unet.device).eval()
    return made


def _from_folder(made: Any, net: ControlNet, dtype: torch.dtype) -> Any:
    return parts.load(net.name, made, net.path, dtype=dtype, low_cpu_mem_usage=False)


def _led_by(base: Model, wanted: Sequence[ControlNet], now: float, cache: ModelCache) -> Model:
    if any(each.made == controlnets.UNION for each in wanted) and len({each.path for each in wanted}) > 1:
        raise InvalidRequest(
            "A ControlNet Union of SDXL can't be mixed with other ControlNets.", "Use one or the other."
        )
    holder, loaded_ones = base, dict[Path, Any]()
    for each in wanted:
        if each.path not in loaded_ones:
            make = partial(_with_controlnet, holder, each, cache.hashes)
            holder = kept(holder, ("controlnet", str(each.path)), now, cache, bytes_of(each.path), make)
            loaded_ones[each.path] = _nets(holder.pipe)[-1]
    if len(wanted) == 1 or wanted[0].made == controlnets.UNION:
        return holder
    nets, key = [loaded_ones[each.path] for each in wanted], tuple(str(each.path) for each in wanted)
    return kept(holder, ("led by", key), now, cache, 0, lambda _: variant_of(holder, _led(base.pipe, nets), 0, {}))


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
    return variant_of(base, pipe, nbytes, {f"controlnet {controlnet.name}": hashes.of(controlnet.path, tell)})


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
    led = auto.from_pipe(pipe, controlnet=nets[0] if len(nets) == 1 else list(nets))
    read = READS.get(nets[0].config.get(control_files.KIND))
    if read is not None:
        led.image_processor = _reading(led.image_processor, read)
    return led


def _reading(processor: Any, read: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """An image processor whose pictures are read in another way than as levels from -1 to 1."""
    made = copy.copy(processor)
    made.preprocess = lambda *args, **kwargs: read(processor.preprocess(*args, **kwargs))
    return made


def _controlnet_of(controlnet: ControlNet, denoiser: Any) -> Any:
    """A ControlNet from its folder, or from one file with the config that the model's own denoiser implies."""
    made: Any = getattr(diffusers, controlnet.made)
    if controlnet.path.is_dir():
        return _from_folder(made, controlnet, denoiser.dtype)
    if controlnet.made in (control_files.FLUX, control_files.SD3):
        return _of_transformer(made, controlnet, denoiser)
    with tempfile.TemporaryDirectory(prefix="easel-configs-") as folder:
        hint = {"conditioning_embedding_out_channels": controlnet.hint, "load_weights_from_unet": False}
        net = made.from_unet(denoiser, **hint)
        if controlnet.kinds:
            net.register_to_config(num_control_type=controlnet.kinds)
        net.save_config(folder)
        with named_as_it_is(controlnet.path) as file:
            return made.from_single_file(str(file), config=folder, dtype=denoiser.dtype, local_files_only=True)


def _of_transformer(made: Any, controlnet: ControlNet, denoiser: Any) -> Any:
    """One of SD3 or FLUX.1 in one file: as a folder of it in diffusers' names, with the config that its shapes tell."""
    header = read_header(controlnet.path).shapes
    own = control_files.is_renamed(header)
    with tempfile.TemporaryDirectory(prefix="easel-configs-") as place:
        folder = Path(place) / controlnet.path.stem
        folder.mkdir()
        if own:
            (folder / controlnets.WEIGHTS).symlink_to(controlnet.path.resolve())
            shapes: Shapes = header
        else:
            tensors = control_files.renamed(load_file(controlnet.path))
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / controlnets.WEIGHTS)
            shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        config = control_files.config_of(controlnet.made, shapes, denoiser.config)
        (folder / "config.json").write_text(json.dumps({"_class_name": controlnet.made, **config}))
        net = _from_folder(made, replace(controlnet, path=folder), denoiser.dtype)
    if control_files.KIND in header:
        with safe_open(controlnet.path, framework="pt") as file:
            net.register_to_config(**{control_files.KIND: round(file.get_tensor(control_files.KIND).item())})
    return net
