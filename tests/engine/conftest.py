"""Tiny pipelines of every family, built from configs with random weights; nothing is downloaded."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from engine.device import devices
from engine.models.facts import read_parts
from engine.models.files import stand_ins
from engine.runtime import batch_sizes

START, END = "<|startoftext|>", "<|endoftext|>"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def clip_tokenizer() -> Any:
    """A CLIP tokenizer that knows single letters."""
    letters = [chr(c) for c in range(33, 127)]
    words = [*letters, *(letter + "</w>" for letter in letters), START, END]
    return CLIPTokenizer(vocab={w: i for i, w in enumerate(words)}, merges=[], model_max_length=77)


def t5_tokenizer() -> Any:
    words = ["<pad>", "</s>", "<unk>", *["a", "red", "blue", "boat", "under", "the", "moon"]]
    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=32
    )


def clip_config(width: int = 32) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=190,
        hidden_size=width,
        intermediate_size=37,
        projection_dim=width,
        num_hidden_layers=3,
        num_attention_heads=4,
        bos_token_id=188,
        eos_token_id=189,
        pad_token_id=189,
    )


def vae(channels: int = 4, shift: float | None = None) -> AutoencoderKL:
    torch.manual_seed(1)
    return AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=8,
        sample_size=64,
        scaling_factor=0.18 if shift is None else 1.5,
        shift_factor=shift,
    ).eval()


def unet(**extra: Any) -> UNet2DConditionModel:
    torch.manual_seed(2)
    return UNet2DConditionModel(
        layers_per_block=1,
        sample_size=32,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8,
        norm_num_groups=8,
        **{"cross_attention_dim": 32, "block_out_channels": (16, 32), **extra},
    ).eval()


# As Stable Diffusion's own scheduler_config.json; without clip_sample=False DDIM clips the latents to -1..1 and leaves
# a picture so faint that rounding shows twenty times as much.
SCHEDULER_CONFIG = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
}


def euler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler.from_config(SCHEDULER_CONFIG)


def sd1() -> StableDiffusionPipeline:
    torch.manual_seed(0)
    return StableDiffusionPipeline(
        vae=vae(),
        text_encoder=CLIPTextModel(clip_config()).eval(),
        tokenizer=clip_tokenizer(),
        unet=unet(),
        scheduler=euler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl() -> StableDiffusionXLPipeline:
    torch.manual_seed(0)
    extra = {
        "cross_attention_dim": 64,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 80,
    }
    return StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=CLIPTextModel(clip_config()).eval(),
        text_encoder_2=CLIPTextModelWithProjection(clip_config()).eval(),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        unet=unet(**extra),
        scheduler=euler(),
        add_watermarker=False,
    )


def t5() -> T5EncoderModel:
    return T5EncoderModel(T5Config(vocab_size=16, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)).eval()


def sd3() -> StableDiffusion3Pipeline:
    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=32,
        patch_size=1,
        in_channels=16,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=64,
        caption_projection_dim=32,
        pooled_projection_dim=64,
        out_channels=16,
    ).eval()
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(16, shift=0.06),
        text_encoder=CLIPTextModelWithProjection(clip_config()).eval(),
        text_encoder_2=CLIPTextModelWithProjection(clip_config()).eval(),
        text_encoder_3=T5EncoderModel(
            T5Config(vocab_size=16, d_model=64, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
        ).eval(),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        tokenizer_3=t5_tokenizer(),
    )


def flux() -> FluxPipeline:
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    ).eval()
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(4, shift=0.06),
        text_encoder=CLIPTextModel(clip_config()).eval(),
        tokenizer=clip_tokenizer(),
        text_encoder_2=t5(),
        tokenizer_2=t5_tokenizer(),
        transformer=transformer,
    )


BUILDERS: dict[str, Callable[[], Any]] = {"sd1": sd1, "sdxl": sdxl, "sd3": sd3, "flux": flux}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every family's pipeline as a folder on disk."""
    root = tmp_path_factory.mktemp("models")
    for name, build in BUILDERS.items():
        build().save_pretrained(root / name)
    return {name: root / name for name in BUILDERS}


def from_folder(folder: Path) -> Any:
    """Diffusers' own pipeline of a folder, with the parts that diffusers can't find by their names there."""
    return DiffusionPipeline.from_pretrained(folder, **stand_ins.of(folder, read_parts(folder).index, torch.float32))


def before_unet(monkeypatch: pytest.MonkeyPatch, check: Callable[[torch.Tensor], None]) -> None:
    """Have every UNet call `check` with its rows first; what that raises comes as if from a driver or a module."""
    forward = UNet2DConditionModel.forward

    @functools.wraps(forward)  # the engine reads the names of its arguments
    def checked(self: Any, sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        check(sample)
        return forward(self, sample, *args, **kwargs)

    monkeypatch.setattr(UNet2DConditionModel, "forward", checked)


def weights_bytes(path: str | Path) -> int:
    """Of a file, or of a folder's weights."""
    files = [Path(path)] if Path(path).is_file() else Path(path).glob("*.safetensors")
    return sum(file.stat().st_size for file in files)


def gain_from_rows(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """As if every device were a GPU, and had been measured and found to gain from calls of so many rows."""
    monkeypatch.setattr(devices, "gains_from_rows", lambda device: True)
    monkeypatch.setattr(batch_sizes, "measure", lambda call, limit: rows)


@pytest.fixture
def tiny_vae() -> AutoencoderKL:
    return vae()
