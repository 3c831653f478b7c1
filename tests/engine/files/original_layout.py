"""Writes a small SD 1.x pipeline as one file in the layout of the original implementation, as models are shared.

The names are those that diffusers' single-file loader reads (its `convert_ldm_*` functions), written backwards.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

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
}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def save_original(pipe: Any, path: Path) -> None:
    """Write the pipeline's weights to `path`."""
    unet = pipe.unet.config
    weights = {f"model.diffusion_model.{unet_name(k, unet)}": v for k, v in pipe.unet.state_dict().items()}
    blocks = len(pipe.vae.config.block_out_channels)
    for key, value in pipe.vae.state_dict().items():
        name = vae_name(key, blocks)
        linear = ".attn_1." in name and value.dim() == 2
        weights[f"first_stage_model.{name}"] = value[:, :, None, None] if linear else value
    text = pipe.text_encoder.state_dict()
    prefix = "" if any(key.startswith("text_model.") for key in text) else "text_model."
    weights |= {f"cond_stage_model.transformer.{prefix}{key}": value for key, value in text.items()}
    save_file({key: value.contiguous().clone() for key, value in weights.items()}, path)


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
