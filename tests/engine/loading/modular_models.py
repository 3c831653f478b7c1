"""Small modular models: those that have no other form, and one that has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from tests.engine import zoo
from tests.engine.editing import editors
from tests.engine.table import rarer

UPSAMPLER = "prompt_upsampler"


def flux3(*, distilled: bool = False) -> dict[str, Any]:
    """It writes each prompt anew before it reads it."""
    encoder, words = rarer.reading_qwen3(32)
    writer, writers_words = upsampler()
    transformer = diffusers.Flux3Transformer2DModel(
        in_channels=16,
        cond_in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=8 * 16,  # of eight layers of its encoder
        axes_dims_rope=(4, 4, 4, 4),
        flow_map=distilled,
    )
    return {
        "text_encoder": encoder,
        "tokenizer": words,
        UPSAMPLER: writer,
        f"{UPSAMPLER}_processor": writers_words,
        "transformer": transformer.eval(),
        "vae": zoo.BUILDERS["flux2-klein"]().vae,
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
    }


def upsampler() -> tuple[Any, Any]:
    """A Qwen3.5 that ends after one word, which depends on what was asked."""
    _, words = rarer.reading_qwen3(1)
    text = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "layer_types": ["linear_attention", "full_attention"],
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "vocab_size": len(words.tokenizer),
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e4,
            "partial_rotary_factor": 0.5,
            "mrope_section": [2, 1, 1],
        },
    }
    seeing = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    ids = words.tokenizer.convert_tokens_to_ids([editors.PICTURE, editors.START, editors.END])
    named = dict(zip(("image_token_id", "vision_start_token_id", "vision_end_token_id"), ids, strict=True))
    writer = transformers.Qwen3_5ForConditionalGeneration(
        transformers.Qwen3_5Config(text_config=text, vision_config=seeing, **named)
    )
    writer.generation_config.eos_token_id = list(range(len(words.tokenizer)))
    return writer.eval(), words


def anima() -> dict[str, Any]:
    transformer = diffusers.CosmosTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        mlp_ratio=2,
        text_embed_dim=16,
        adaln_lora_dim=4,
        max_size=(4, 32, 32),
        rope_scale=(1.0, 4.0, 4.0),
        extra_pos_embed_type=None,
    )
    conditioner = diffusers.AnimaTextConditioner(
        source_dim=16,
        target_dim=16,
        model_dim=16,
        num_layers=1,
        num_attention_heads=2,
        target_vocab_size=zoo.VOCABULARY,
        min_sequence_length=16,
    )
    return {
        "text_encoder": zoo.qwen3(2, transformers.Qwen3Model),
        "tokenizer": zoo.tokenizer(),
        "t5_tokenizer": zoo.tokenizer(),
        "text_conditioner": conditioner.eval(),
        "transformer": transformer.eval(),
        "vae": zoo.qwen_image().vae,
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
    }


BUILDERS: Mapping[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "z-image": ("ZImageAutoBlocks", lambda: zoo.z_image().components),
    "flux3": ("Flux3AutoBlocks", flux3),
    "flux3-distilled": ("Flux3DistilledAutoBlocks", lambda: flux3(distilled=True)),
    "anima": ("AnimaAutoBlocks", anima),
}


def build(root: Path, name: str) -> Path:
    """Saved in one place and moved to another, as a download is."""
    blocks, parts = BUILDERS[name]
    torch.manual_seed(0)
    pipe = getattr(diffusers, blocks)().init_pipeline()
    pipe.update_components(**parts())
    pipe.save_pretrained(str(root / f"saved-{name}"), overwrite_modular_index=True)
    return (root / f"saved-{name}").rename(root / name)
