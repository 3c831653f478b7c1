"""The list of models to begin with: its sizes are those of the architectures that diffusers and transformers build."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel, UNet2DConditionModel, ZImageTransformer2DModel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Qwen3Config,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
)

from engine.models.files import starters


def clip(width: int, layers: int, **more: Any) -> CLIPTextConfig:
    heads = width // 64
    return CLIPTextConfig(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * width, **more
    )


def sdxl() -> Any:
    return UNet2DConditionModel(
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
        use_linear_projection=True,
    )


def t5() -> Any:
    return T5EncoderModel(
        T5Config(d_model=4096, d_ff=10240, num_layers=24, num_heads=64, d_kv=64, feed_forward_proj="gated-gelu")
    )


def qwen() -> Any:
    return Qwen3Model(
        Qwen3Config(
            hidden_size=2560,
            num_hidden_layers=36,
            num_attention_heads=32,
            num_key_value_heads=8,
            intermediate_size=9728,
            head_dim=128,
            vocab_size=151936,
        )
    )


def clip_l() -> Any:
    return CLIPTextModel(clip(768, 12))


DENOISERS: dict[str, Callable[[], Any]] = {
    "sd15": lambda: UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8),
    "sdxl": sdxl,
    "z-image-turbo": ZImageTransformer2DModel,
    "flux-schnell": FluxTransformer2DModel,
}
ENCODERS: dict[str, list[Callable[[], Any]]] = {
    "sd15": [clip_l],
    "sdxl": [clip_l, lambda: CLIPTextModelWithProjection(clip(1280, 32, projection_dim=1280))],
    "z-image-turbo": [qwen],
    "flux-schnell": [clip_l, t5],
}


def numbers(*builders: Callable[[], Any]) -> int:
    with torch.device("meta"):
        return sum(each.numel() for build in builders for each in build().parameters())


@pytest.mark.parametrize("starter", starters.STARTERS, ids=lambda starter: starter.name)
def test_sizes_are_those_of_the_architectures(starter: starters.Starter) -> None:
    assert starter.sizes.denoiser.numbers == pytest.approx(numbers(DENOISERS[starter.name]), rel=0.01)
    assert starter.sizes.encoders.numbers == pytest.approx(numbers(*ENCODERS[starter.name]), rel=0.01)


def test_the_autoencoder_too() -> None:
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    size = numbers(lambda: AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, **blocks))
    assert pytest.approx(size, rel=0.01) == starters.VAE


@pytest.mark.parametrize("starter", starters.STARTERS, ids=lambda starter: starter.name)
def test_what_is_fetched_is_every_number_in_two_or_four_bytes(starter: starters.Starter) -> None:
    assert 2 <= starter.download / starter.sizes.numbers <= 4.2
