"""A small CLIP tokenizer built from the captions: byte-level BPE, so that any text encodes (GPT-2, CLIP 2103.00020)."""

import json
import random
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import CLIPTokenizer

from engine.mini.train.captions import caption
from engine.mini.train.config import CAPTION_TOKENS
from engine.mini.train.scenes import Diet, sample_scene

VOCABULARY = 1400
CAPTIONS = 15_000
START, END, WORD_END = "<|startoftext|>", "<|endoftext|>", "</w>"
_SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def _captions(seed: int) -> list[str]:
    rng = random.Random(seed)
    return [caption(rng, sample_scene(rng, Diet())) for _ in range(CAPTIONS)]


def _learn_merges(texts: list[str]) -> list[tuple[str, str]]:
    bpe = Tokenizer(models.BPE(end_of_word_suffix=WORD_END))
    bpe.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    words = pre_tokenizers.Split(Regex(_SPLIT), behavior="removed", invert=True)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            min_frequency=4,
            end_of_word_suffix=WORD_END,
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    merges = json.loads(bpe.to_str())["model"]["merges"]
    return [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in merges]


def train_tokenizer(folder: Path, seed: int) -> None:
    """Write a tokenizer; its vocabulary is in CLIP's order: bytes, word-final bytes, merges, start, end."""
    merges = _learn_merges(_captions(seed))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(letter + WORD_END for letter in letters), *map("".join, merges), START, END]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CAPTION_TOKENS).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """Encode captions: (B, 40) int64, padded as `StableDiffusionPipeline` does."""
    encoded = tokenizer(captions, padding="max_length", truncation=True, max_length=CAPTION_TOKENS, return_tensors="pt")
    ids: Tensor = encoded.input_ids
    return ids
