"""A tiny Kolors: SDXL's UNet behind a language model with a tokenizer of its own kind."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import diffusers
import sentencepiece
import torch
from diffusers.pipelines.kolors import text_encoder, tokenizer

from tests.engine import conftest as big


def _chatglm_words() -> Any:
    """A tokenizer of sentencepiece's, which is all that Kolors has."""
    text = [f"a red boat under the blue moon {number}" for number in range(200)]
    path = Path(tempfile.mkdtemp()) / "tokenizer.model"
    with path.open("wb") as model:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text), model_writer=model, vocab_size=60, minloglevel=2, hard_vocab_limit=False
        )
    return tokenizer.ChatGLMTokenizer(str(path), model_max_length=256)


def _chatglm() -> Any:
    config = text_encoder.ChatGLMConfig(
        num_layers=2,
        padded_vocab_size=128,
        hidden_size=16,
        ffn_hidden_size=16,
        kv_channels=8,
        num_attention_heads=2,
        seq_length=256,
        multi_query_attention=True,
        multi_query_group_num=1,
        add_qkv_bias=True,
        original_rope=True,
    )
    encoder = text_encoder.ChatGLMModel(config, empty_init=False).eval()
    for name, weight in encoder.named_parameters():
        if name.endswith("norm.weight"):
            torch.nn.init.ones_(weight)  # published as weights; empty memory otherwise
    return encoder


def pipeline(kind: str = "KolorsPipeline", **more: Any) -> Any:
    """SDXL's UNet behind ChatGLM."""
    unet = big.unet(
        cross_attention_dim=16,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=64,
    )
    return getattr(diffusers, kind)(
        vae=big.vae(),
        text_encoder=_chatglm(),
        tokenizer=_chatglm_words(),
        unet=unet,
        scheduler=big.euler(),
        **more,
    )
