"""Pipelines to measure with: full-size ones with random weights, and one whose modules do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from engine.mini import MODEL_DIR


def clip(width: int, layers: int, heads: int, **more: Any) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * width, **more
    )


def tokenizer() -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(MODEL_DIR / "tokenizer", model_max_length=77)


def vae(*widths: int) -> Any:
    from diffusers import AutoencoderKL

    count = len(widths)
    return AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * count,
        up_block_types=("UpDecoderBlock2D",) * count,
        layers_per_block=2,
        latent_channels=4,
    )


def euler() -> Any:
    from diffusers import EulerDiscreteScheduler

    return EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def full_sd15(folder: Path) -> None:
    """Stable Diffusion 1.5's architecture in bfloat16; speed does not depend on the weights' values."""
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    torch.manual_seed(0)
    pipe = StableDiffusionPipeline(
        vae=vae(128, 256, 512, 512),
        unet=UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8),
        text_encoder=CLIPTextModel(clip(768, 12, 12)),
        tokenizer=tokenizer(),
        scheduler=euler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.to(torch.bfloat16).save_pretrained(folder)


def full_sdxl(folder: Path) -> None:
    """SDXL's architecture in bfloat16: 6.9 GB."""
    from diffusers import StableDiffusionXLPipeline
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)  # never whole in twice the precision
    try:
        pipe = StableDiffusionXLPipeline(
            vae=vae(128, 256, 512, 512),
            unet=sdxl_unet(),
            text_encoder=CLIPTextModel(clip(768, 12, 12)),
            text_encoder_2=CLIPTextModelWithProjection(clip(1280, 32, 20, projection_dim=1280)),
            tokenizer=tokenizer(),
            tokenizer_2=tokenizer(),
            scheduler=euler(),
        )
    finally:
        torch.set_default_dtype(torch.float32)
    pipe.save_pretrained(folder)


def sdxl_unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        layers_per_block=2,
        cross_attention_dim=2048,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
        use_linear_projection=True,
        sample_size=128,
    )


@contextmanager
def hollow_sdxl(folder: Path) -> Iterator[int]:
    """A pipeline whose UNet has as many modules as SDXL's; while this lasts, UNets and VAEs answer with zeros at once.

    So what is left is the Python around the calls. Gives the number of its UNet's modules.
    """
    from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    unet = UNet2DConditionModel(  # SDXL's blocks and depths, of the narrowest layers that norms allow
        block_out_channels=(32, 64, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(1, 2, 4),
        layers_per_block=2,
        cross_attention_dim=64,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=80,
        use_linear_projection=True,
        sample_size=8,
    )
    StableDiffusionXLPipeline(
        vae=vae(32, 32, 32, 32),
        unet=unet,
        text_encoder=CLIPTextModel(clip(32, 12, 1)),
        text_encoder_2=CLIPTextModelWithProjection(clip(32, 32, 1, projection_dim=32)),
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(),
        scheduler=euler(),
    ).save_pretrained(folder)

    def nothing(self: Any, sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return (torch.zeros_like(sample),)

    def white(self: Any, latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return (latents.new_ones(latents.shape[0], 3, latents.shape[2] * 8, latents.shape[3] * 8),)

    kept = UNet2DConditionModel.forward, AutoencoderKL.decode
    UNet2DConditionModel.forward, AutoencoderKL.decode = nothing, white  # type: ignore[method-assign]
    try:
        yield sum(1 for _ in unet.modules())
    finally:
        UNet2DConditionModel.forward, AutoencoderKL.decode = kept  # type: ignore[method-assign]
