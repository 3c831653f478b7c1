"""How many tokens CLIP reads a text as. Knows no torch, nor which models have a CLIP.

Every published CLIP of Stable Diffusion, SDXL, SD3 and FLUX.1 has OpenAI's vocabulary, which comes with Easel.
"""

from __future__ import annotations

import functools
import gzip
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

READS = 77  # tokens at once, its start and end among them
START, END = "<|startoftext|>", "<|endoftext|>"
MERGES = Path(__file__).parents[1] / "models" / "shipped" / "clip_merges.txt.gz"
# Words, single digits, and signs in a row, as its makers cut a text.
_PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def cut_after(text: str) -> int:
    """How many tokens a text has, where CLIP can't read them all at once; 0 where it can."""
    most = READS - 2
    if len(text.encode("utf-8")) <= most:  # none is shorter than a byte
        return 0
    count = len(_tokenizer().encode(text).ids)
    return count if count > most else 0


def merges() -> list[tuple[str, str]]:
    """Which two pieces become one, the most frequent first."""
    text = gzip.decompress(MERGES.read_bytes()).decode("utf-8")
    return [(first, second) for first, _, second in (line.partition(" ") for line in text.split("\n"))]


def vocabulary(pairs: list[tuple[str, str]]) -> dict[str, int]:
    """Every token's number."""
    letters = _letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, pairs), START, END]
    return {word: number for number, word in enumerate(words)}


def _letters() -> list[str]:
    """The 256 bytes as letters that can be seen, in the order of GPT-2's tokenizer, which CLIP's follows."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return [*map(chr, seen), *(chr(256 + number) for number in range(len(hidden)))]


@functools.cache
def _tokenizer() -> Tokenizer:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    pairs = merges()
    made = Tokenizer(models.BPE(vocabulary(pairs), pairs, end_of_word_suffix="</w>"))
    tidy = (normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase())
    made.normalizer = normalizers.Sequence(list(tidy))
    pieces = pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([pieces, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return made
