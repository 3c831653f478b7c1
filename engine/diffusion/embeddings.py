"""Weighted and long prompts as CLIP embeddings, and a cache in front of every text encoder.

Chunks, weights and the mean's repair follow A1111 (`modules/sd_hijack_clip.py`): every chunk is encoded on its own,
embeddings are multiplied by their token's weight, and the tensor's mean is put back to what it was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from engine.device.fibers import Call
from engine.diffusion.prompts import Piece, is_plain, parse

CACHE_BYTES = 64 << 20
MAX_REPAIR = 2.0  # a mean near zero says nothing about the scale, and dividing by it would destroy the picture

Tokens = list[tuple[int, float]]


class EncoderCache:
    """Results of text encoder calls, by module and arguments; the least recently used go first."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit, self._size = limit_bytes, 0
        self._known: OrderedDict[tuple[object, ...], tuple[Any, int]] = OrderedDict()

    def get(self, call: Call) -> Any:
        key = _cache_key(call)
        if key not in self._known:
            return None
        self._known.move_to_end(key)
        return self._known[key][0]

    def put(self, call: Call, result: Any) -> None:
        size = sum(leaf.nbytes for leaf in pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor))
        self._known[_cache_key(call)] = result, size
        self._size += size
        while self._size > self._limit and self._known:
            self._size -= self._known.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Forget everything; module ids may be used again once a model was evicted."""
        self._known.clear()
        self._size = 0


def _cache_key(call: Call) -> tuple[object, ...]:
    leaves, spec = pytree.tree_flatten((call.args, call.kwargs))
    content = tuple(v.cpu().numpy().tobytes() if isinstance(v, torch.Tensor) else repr(v) for v in leaves)
    return id(call.module), spec, content


def needs_embedding(pipe: Any, *prompts: str) -> bool:
    """Whether a prompt says more than the pipeline itself can read: weights, BREAK, or too many tokens."""
    if not all(is_plain(parse(prompt)) for prompt in prompts):
        return True
    room = pipe.tokenizer.model_max_length - 2
    return any(
        len(prompt) > room and len(pipe.tokenizer(prompt, truncation=False, verbose=False).input_ids) - 2 > room
        for prompt in prompts
    )


def embed(pipe: Any, prompt: str, negative_prompt: str, clip_skip: int | None) -> dict[str, Any]:
    """The pipeline arguments that replace `prompt` and `negative_prompt`; call inside a fiber.

    Embeddings are (1, 77 x chunks, width); SDXL joins both encoders' widths and adds the second one's pooled vector.
    """
    encoders = [(pipe.tokenizer, pipe.text_encoder)]
    second = getattr(pipe, "text_encoder_2", None)
    if second is not None:
        encoders.append((pipe.tokenizer_2, second))
    wanted, unwanted = parse(prompt), parse(negative_prompt)
    parts = [_embed_pair(t, e, wanted, unwanted, clip_skip, sdxl=second is not None) for t, e in encoders]
    named: dict[str, Any] = {"prompt_embeds": torch.cat([p[0][0] for p in parts], dim=-1)}
    named["negative_prompt_embeds"] = torch.cat([p[1][0] for p in parts], dim=-1)
    if second is not None:
        named["pooled_prompt_embeds"], named["negative_pooled_prompt_embeds"] = parts[-1][0][1], parts[-1][1][1]
        _zero_empty(pipe, negative_prompt, named)
    return named


def _zero_empty(pipe: Any, negative_prompt: str, named: dict[str, Any]) -> None:
    """SDXL was trained with zeros for "no negative prompt", as its pipeline does by itself."""
    if not negative_prompt and pipe.config.force_zeros_for_empty_prompt:
        for name in ("negative_prompt_embeds", "negative_pooled_prompt_embeds"):
            named[name] = torch.zeros_like(named[name])


def _embed_pair(
    tokenizer: Any, encoder: Any, wanted: Sequence[Piece], unwanted: Sequence[Piece], skip: int | None, *, sdxl: bool
) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
    """Embedding and pooled vector of both prompts, with as many chunks each."""
    chunked = [_chunks(tokenizer, pieces) for pieces in (wanted, unwanted)]
    count = max(map(len, chunked))
    return [_encode(tokenizer, encoder, c + [[]] * (count - len(c)), skip, sdxl=sdxl) for c in chunked]


def _chunks(tokenizer: Any, pieces: Sequence[Piece]) -> list[Tokens]:
    """Tokens with their weights, in chunks of what the encoder reads at once less start and end."""
    room = tokenizer.model_max_length - 2
    chunks: list[Tokens] = [[]]
    for piece in pieces:
        if piece.text is None:
            chunks.append([])
            continue
        for token in tokenizer(piece.text, truncation=False, add_special_tokens=False, verbose=False).input_ids:
            if len(chunks[-1]) == room:
                chunks.append([])
            chunks[-1].append((token, piece.weight))
    return chunks


def _encode(
    tokenizer: Any, encoder: Any, chunks: list[Tokens], skip: int | None, *, sdxl: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    length = tokenizer.model_max_length
    embedded, pooled = [], None
    for chunk in chunks:
        ids = [tokenizer.bos_token_id, *(token for token, _ in chunk), tokenizer.eos_token_id]
        ids += [tokenizer.pad_token_id] * (length - len(ids))
        states, first = _states(encoder, torch.tensor([ids], device=encoder.device), skip, sdxl=sdxl)
        weights = [1.0, *(weight for _, weight in chunk)]
        embedded.append(_weighted(states, weights + [1.0] * (length - len(weights))))
        pooled = first if pooled is None else pooled
    return torch.cat(embedded, dim=1), pooled


def _states(encoder: Any, ids: torch.Tensor, skip: int | None, *, sdxl: bool) -> tuple[torch.Tensor, Any]:
    """The hidden states that the pipelines' own `encode_prompt` takes, (1, length, width), and the pooled vector."""
    output = encoder(ids, output_hidden_states=True)
    if sdxl:
        return output.hidden_states[-((skip or 0) + 2)], output[0]
    if skip is None:
        return output.last_hidden_state, None
    return encoder.text_model.final_layer_norm(output.hidden_states[-(skip + 1)]), None


def _weighted(states: torch.Tensor, weights: list[float]) -> torch.Tensor:
    if all(weight == 1.0 for weight in weights):
        return states
    scaled = states * torch.tensor(weights, device=states.device, dtype=states.dtype)[None, :, None]
    repair = float(states.float().mean()) / (float(scaled.float().mean()) or 1.0)
    return scaled * repair if 1 / MAX_REPAIR < repair < MAX_REPAIR else scaled
