"""Writes a small SD 1.x pipeline as one file in the layout of the original implementation, as models are shared.

The names are those that diffusers' single-file loader reads (its `convert_ldm_*` functions), written backwards.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def save_original(pipe: Any, path: Path) -> None:
    """Write the pipeline's weights to `path`: SD 1.x, or with a second text encoder SDXL."""
    unet = pipe.unet.config
    weights = {f"model.diffusion_model.{unet_name(k, unet)}": v for k, v in pipe.unet.state_dict().items()}
    blocks = len(pipe.vae.config.block_out_channels)
    for key, value in pipe.vae.state_dict().items():
        name = vae_name(key, blocks)
        linear = ".attn_1." in name and value.dim() == 2
        weights[f"first_stage_model.{name}"] = value[:, :, None, None] if linear else value
    second = getattr(pipe, "text_encoder_2", None)
    first = "cond_stage_model" if second is None else "conditioner.embedders.0"
    text = {key.removeprefix("text_model."): value for key, value in pipe.text_encoder.state_dict().items()}
    weights |= {f"{first}.transformer.text_model.{key}": value for key, value in text.items()}
    if second is not None:
        weights |= {f"conditioner.embedders.1.model.{key}": value for key, value in open_clip(second).items()}
    save_file({key: value.contiguous().clone() for key, value in weights.items()}, path)


def open_clip(encoder: Any) -> dict[str, Any]:
    """A text encoder's weights as OpenCLIP names and shapes them."""
    text = {key.removeprefix("text_model."): value for key, value in encoder.state_dict().items()}
    found = {
        "token_embedding.weight": text["embeddings.token_embedding.weight"],
        "positional_embedding": text["embeddings.position_embedding.weight"],
        "ln_final.weight": text["final_layer_norm.weight"],
        "ln_final.bias": text["final_layer_norm.bias"],
        "text_projection": text["text_projection.weight"].T,
    }
    for number in range(encoder.config.num_hidden_layers):
        layer, block = f"encoder.layers.{number}.", f"transformer.resblocks.{number}."
        for ours, theirs in OPEN_CLIP.items():
            for end in ("weight", "bias"):
                found[f"{block}{theirs}.{end}"] = text[f"{layer}{ours}.{end}"]
        for end in ("weight", "bias"):
            parts = [text[f"{layer}self_attn.{part}_proj.{end}"] for part in "qkv"]
            found[f"{block}attn.in_proj_{end}"] = torch.cat(parts)
    return found


def unet_name(key: str, config: Any) -> str:
    """diffusers' name of a UNet weight -> the original's."""
    layers = config.layers_per_block
    for ours, theirs in UNET_ENDS.items():
        if key.startswith(f"{ours}."):
            return theirs + key.removeprefix(ours)
    if match := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", key):
        kind, number, rest = match.groups()
        return f"middle_block.{2 * int(number) if kind == 'resnets' else 1}.{_inner(kind, rest)}"
    match = re.fullmatch(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.*)", key)
    assert match, key
    way, block, kind, number, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    if kind == "downsamplers":
        return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":  # after the attention, or in its place
        after = 2 if config.up_block_types[block].startswith("CrossAttn") else 1
        return f"output_blocks.{block * (layers + 1) + layers}.{after}.{rest}"
    place = 1 + block * (layers + 1) + number if way == "down" else block * (layers + 1) + number
    side = "input_blocks" if way == "down" else "output_blocks"
    return f"{side}.{place}.{0 if kind == 'resnets' else 1}.{_inner(kind, rest)}"


def _inner(kind: str, rest: str) -> str:
    if kind != "resnets":
        return rest
    part, _, end = rest.rpartition(".")
    return f"{RESNET[part]}.{end}"


def vae_name(key: str, blocks: int) -> str:
    """diffusers' name of a VAE weight -> the original's."""
    key = key.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    key = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", key)
    key = key.replace("mid_block.attentions.0", "mid.attn_1")
    for ours, theirs in VAE_ATTENTION.items():
        key = key.replace(f"attn_1.{ours}.", f"attn_1.{theirs}.")
    key = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", key)
    key = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", key)
    key = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{blocks - 1 - int(m[1])}.block", key)
    return re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{blocks - 1 - int(m[1])}.upsample", key)
