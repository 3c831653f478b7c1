"""ControlNets of SD3 and FLUX.1 in one file: their config, told by their tensors' shapes, and diffusers' names for
those of their makers. Knows no torch.

Of InstantX' and Shakker's the names are diffusers' own already; XLabs', and those that Stability published for SD3.5,
are as each original implementation has them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from engine.models.whole import Shapes

FLUX, SD3 = "FluxControlNetModel", "SD3ControlNetModel"
KIND = "control_type"  # a number in Stability's files: what theirs of SD3.5 follows
BLUR, CANNY, DEPTH = 0, 1, 2
_SD3_INPUT, _FLUX_INPUT = "pos_embed_input.proj.weight", "controlnet_x_embedder.weight"
_XLABS = "double_blocks.0.img_attn.qkv.weight"
_BLOCK = re.compile(r"(single_)?transformer_blocks\.(\d+)\.")
_TEXTS = "time_text_embed.text_embedder.linear_1.weight"
INPAINTS = "it is a ControlNet of {} for inpainting, which reads a mask; take one that reads pictures"
# What has such a tensor -> what it is.
_OTHERS = {
    "controlnet_blocks.0.linear.weight": "it is a MistoLine of FLUX.1, which diffusers can't read",
    "transformer_blocks.0.img_mod.1.weight": "it is a ControlNet of Qwen-Image, of which none can be used",
    "control_img_in.weight": "it is a Fun ControlNet, of which none can be used",
    "control_layers.0.before_proj.weight": "it is a ControlNet of Z-Image, of which none can be used",
}
# A layer of XLabs' and what it is called by diffusers; likewise of Stability's.
_OF_XLABS = {
    r"^img_in\.": "x_embedder.",
    r"^txt_in\.": "context_embedder.",
    r"^pos_embed_input\.": "controlnet_x_embedder.",
    r"^time_in\.": "time_text_embed.timestep_embedder.",
    r"^vector_in\.": "time_text_embed.text_embedder.",
    r"^guidance_in\.": "time_text_embed.guidance_embedder.",
    r"\.in_layer\.": ".linear_1.",
    r"\.out_layer\.": ".linear_2.",
    r"^double_blocks\.": "transformer_blocks.",
    r"\.img_mod\.lin\.": ".norm1.linear.",
    r"\.txt_mod\.lin\.": ".norm1_context.linear.",
    r"\.img_attn\.proj\.": ".attn.to_out.0.",
    r"\.txt_attn\.proj\.": ".attn.to_add_out.",
    r"\.img_attn\.norm\.query_norm\.scale$": ".attn.norm_q.weight",
    r"\.img_attn\.norm\.key_norm\.scale$": ".attn.norm_k.weight",
    r"\.txt_attn\.norm\.query_norm\.scale$": ".attn.norm_added_q.weight",
    r"\.txt_attn\.norm\.key_norm\.scale$": ".attn.norm_added_k.weight",
    r"\.img_mlp\.0\.": ".ff.net.0.proj.",
    r"\.img_mlp\.2\.": ".ff.net.2.",
    r"\.txt_mlp\.0\.": ".ff_context.net.0.proj.",
    r"\.txt_mlp\.2\.": ".ff_context.net.2.",
}
_OF_STABILITY = {
    r"\.adaLN_modulation\.1\.": ".norm1.linear.",
    r"\.attn\.proj\.": ".attn.to_out.0.",
    r"\.mlp\.fc1\.": ".ff.net.0.proj.",
    r"\.mlp\.fc2\.": ".ff.net.2.",
}
# Three matrices in one, and what each third is called.
_JOINED = {
    ".img_attn.qkv.": (".attn.to_q.", ".attn.to_k.", ".attn.to_v."),
    ".txt_attn.qkv.": (".attn.add_q_proj.", ".attn.add_k_proj.", ".attn.add_v_proj."),
    ".attn.qkv.": (".attn.to_q.", ".attn.to_k.", ".attn.to_v."),
}
_HINT = re.compile(r"^input_hint_block\.(\d+)\.")
_HINT_LAYERS = 8  # convolutions, with a layer that computes nothing but SiLU between each two


def told(shapes: Shapes) -> str:
    """The class of diffusers' that a file holds; or, as a sentence, what else it is; "" = none of these."""
    if other := next((what for tensor, what in _OTHERS.items() if tensor in shapes), ""):
        return other
    if _SD3_INPUT in shapes and _TEXTS in shapes:
        extra = shapes[_SD3_INPUT][1] - shapes.get("pos_embed.proj.weight", shapes[_SD3_INPUT])[1]
        return INPAINTS.format("SD3") if extra else SD3
    if _FLUX_INPUT in shapes and _TEXTS in shapes:
        inpaints = shapes[_FLUX_INPUT][1] != shapes.get("x_embedder.weight", (0, 0))[1]
        return INPAINTS.format("FLUX.1") if inpaints else FLUX
    return FLUX if _XLABS in shapes and "controlnet_blocks.0.weight" in shapes else ""


def width(shapes: Shapes) -> int:
    """Of its attention, which is that of the model it's for."""
    return next(shapes[name][0] for name in (_SD3_INPUT, "x_embedder.weight", "img_in.weight") if name in shapes)


def kinds(shapes: Shapes) -> int:
    """How many kinds of pictures it follows; 0 = one."""
    return shapes.get("controlnet_mode_embedder.weight", (0,))[0]


def is_renamed(shapes: Shapes) -> bool:
    """Whether the names are diffusers' already."""
    return _XLABS not in shapes and KIND not in shapes and not any(".attn.qkv." in name for name in shapes)


def renamed(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors by diffusers' names, whoever named them."""
    if _XLABS in tensors:
        names, found = _OF_XLABS, {_hint(name): tensor for name, tensor in tensors.items()}
    else:
        names, found = _OF_STABILITY, {name: tensor for name, tensor in tensors.items() if name != KIND}
    apart: dict[str, Any] = {}
    for name, tensor in found.items():
        mark = next((each for each in _JOINED if each in name), "")
        thirds = tensor.chunk(3) if mark else (tensor,)
        called = [name.replace(mark, third) for third in _JOINED[mark]] if mark else [name]
        apart |= {_called(each, names): third for each, third in zip(called, thirds, strict=True)}
    return apart


def _called(name: str, names: Mapping[str, str]) -> str:
    for theirs, ours in names.items():
        name = re.sub(theirs, ours, name)
    return name


def _hint(name: str) -> str:
    """A convolution that reads the picture, as diffusers counts them."""
    match = _HINT.match(name)
    if match is None:
        return name
    number = int(match[1]) // 2
    ends = {0: "conv_in", _HINT_LAYERS - 1: "conv_out"}
    return name.replace(match[0], f"input_hint_block.{ends.get(number, f'blocks.{number - 1}')}.")


def config_of(made: str, shapes: Shapes, model: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a ControlNet in diffusers' names. `model`: that of the denoiser it's for, which has what no shape
    tells."""
    inner = width(shapes)
    head = next((shape[0] for name, shape in shapes.items() if name.endswith(".attn.norm_q.weight")), 0)
    head = head or int(model["attention_head_dim"])
    known = {
        "num_layers": _blocks(shapes, single=False),
        "attention_head_dim": head,
        "num_attention_heads": inner // head,
        "pooled_projection_dim": shapes[_TEXTS][1],
    }
    return known | (_flux if made == FLUX else _sd3)(shapes, model)


def _blocks(shapes: Shapes, *, single: bool) -> int:
    found = (match for name in shapes if (match := _BLOCK.match(name)) and bool(match[1]) == single)
    return len({match[2] for match in found})


def _flux(shapes: Shapes, model: Mapping[str, Any]) -> dict[str, Any]:
    channels = shapes["x_embedder.weight"][1]
    hint = shapes.get("input_hint_block.conv_out.weight", (0,))[0]
    return {
        "patch_size": math.isqrt(channels // hint) if hint else 1,
        "in_channels": channels,
        "num_single_layers": _blocks(shapes, single=True),
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        "guidance_embeds": "time_text_embed.guidance_embedder.linear_1.weight" in shapes,
        "axes_dims_rope": list(model["axes_dims_rope"]),
        "num_mode": kinds(shapes) or None,
        "conditioning_embedding_channels": hint or None,
    }


def _sd3(shapes: Shapes, model: Mapping[str, Any]) -> dict[str, Any]:
    """Stability's of SD3.5 reads no words, and takes its places from the model."""
    _, channels, patch, _ = shapes[_SD3_INPUT]
    words, places = shapes.get("context_embedder.weight"), shapes.get("pos_embed.pos_embed")
    twice = {int(match[2]) for name in shapes if ".attn2." in name and (match := _BLOCK.match(name))}
    return {
        "sample_size": model["sample_size"],
        "patch_size": patch,
        "in_channels": channels,
        "out_channels": channels,
        "joint_attention_dim": words[1] if words else None,
        "caption_projection_dim": words[0] if words else width(shapes),
        "pos_embed_max_size": math.isqrt(places[1]) if places else None,
        "pos_embed_type": "sincos" if places else None,
        "use_pos_embed": places is not None,
        "dual_attention_layers": tuple(sorted(twice)),
        "qk_norm": "rms_norm" if any(name.endswith(".attn.norm_q.weight") for name in shapes) else None,
        "force_zeros_for_pooled_projection": places is not None,  # as InstantX' were trained
    }
