"""A tiny random language model writes prompts through the engine: off without one, the same words each time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from engine import Engine, InvalidRequest
from engine.mini import MODEL_DIR
from engine.vision.options import VisionOptions
from engine.vision.prompt_helper import TOLD, tidy
from tests.engine import zoo


@pytest.fixture
def helper(tmp_path: Path) -> str:
    """Qwen's class, a few thousand random weights, and a template as its card has it."""
    torch.manual_seed(0)
    words = zoo.tokenizer(chat=True)
    config = transformers.Qwen2Config(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2048,
    )
    transformers.Qwen2ForCausalLM(config).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    return str(tmp_path)


async def test_it_writes_the_same_for_the_same_words(helper: str) -> None:
    async with Engine(str(MODEL_DIR), sight=VisionOptions(helper=helper)) as engine:
        assert "rewrite" in engine.abilities()
        once = [await engine.rewrite("a boat", aim) for aim in TOLD]
        assert [await engine.rewrite("a boat", aim) for aim in TOLD] == once
        assert all(isinstance(text, str) and "\n" not in text for text in once)


async def test_it_is_off_unless_configured() -> None:
    async with Engine(str(MODEL_DIR)) as engine:
        assert "rewrite" not in engine.abilities()
        with pytest.raises(InvalidRequest, match="can configure a prompt helper"):
            await engine.rewrite("a boat", "expand")


def test_only_the_words_themselves_are_taken() -> None:
    assert tidy('  "A red boat,\n on the sea."\n\nWould you like another?') == "A red boat, on the sea."
    assert tidy("") == ""
