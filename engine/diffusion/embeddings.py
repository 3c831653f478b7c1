"""Weighted and long prompts as CLIP embeddings, and a cache in front of every text encoder.

Chunks, weights and the mean's repair follow A1111 (`modules/sd_hijack_clip.py`): every chunk is encoded on its own,
embeddings are multiplied by their token's weight, and the tensor's mean is put back to what it was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree

from engine.api.errors import InvalidRequest
from engine.device.fibers import Call
from engine.diffusion import prompt_schedule
from engine.diffusion.prompts import Piece, is_plain, parse

CACHE_BYTES = 64 << 20
MAX_TEXTS = 32  # different ones of a picture; each is encoded
BACKTRACK = 20  # tokens; A1111's "Prompt word wrap length limit"
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
        key = _cache_key(call)
        self._size += size - self._known.pop(key, (None, 0))[1]
        self._known[key] = result, size
        while self._size > self._limit and self._known:
            self._size -= self._known.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Forget everything; module ids may be used again once a model was evicted."""
        self._known.clear()
        self._size = 0


def asks_the_same(call: Call, other: Call) -> bool:
    """Whether two calls of text encoders have the same result, as those of a grid's pictures do."""
    return call.kind == other.kind == "encode" and _cache_key(call) == _cache_key(other)


def _cache_key(call: Call) -> tuple[object, ...]:
    leaves, spec = pytree.tree_flatten((call.args, call.kwargs))
    content = tuple(v.cpu().numpy().tobytes() if isinstance(v, torch.Tensor) else repr(v) for v in leaves)
    return id(call.module), spec, content


def needs_embedding(pipe: Any, *prompts: str) -> bool:
    """Whether a prompt says more than the pipeline itself can read: weights, BREAK, changes, or too many tokens."""
    if any(prompt_schedule.changes(prompt) or not is_plain(parse(prompt)) for prompt in prompts):
        return True
    room = pipe.tokenizer.model_max_length - 2
    return any(
        len(prompt) > room and len(pipe.tokenizer(prompt, truncation=False, verbose=False).input_ids) - 2 > room
        for prompt in prompts
    )


@dataclass(frozen=True, slots=True)
class Embedded:
    """A text as the denoiser reads it: (1, 77 x chunks, width), and SDXL's pooled vector (1, width)."""

    states: torch.Tensor
    pooled: torch.Tensor | None = None


def embed(
    pipe: Any, prompts: Sequence[str], negative_prompts: Sequence[str], clip_skip: int | None
) -> tuple[dict[str, Embedded], dict[str, Embedded]]:
    """What the texts are to the pipeline's denoiser, all of as many chunks; call inside a fiber.

    SDXL joins both encoders' widths and adds the second one's pooled vector; no words are zeros to it, where they are
    unwanted.
    """
    encoders = [(pipe.tokenizer, pipe.text_encoder)]
    second = getattr(pipe, "text_encoder_2", None)
    if second is not None:
        encoders.append((pipe.tokenizer_2, second))
    texts = list(dict.fromkeys((*prompts, *negative_prompts)))
    if len(texts) > MAX_TEXTS:
        raise InvalidRequest(f"The prompt is {len(texts)} different texts.", f"Use at most {MAX_TEXTS}.")
    each = [_embed_all(t, e, texts, clip_skip, sdxl=second is not None) for t, e in encoders]
    found = {
        text: Embedded(torch.cat([part[number][0] for part in each], dim=-1), each[-1][number][1])
        for number, text in enumerate(texts)
    }
    unwanted = {text: found[text] for text in negative_prompts}
    if second is not None and "" in unwanted and pipe.config.force_zeros_for_empty_prompt:
        states, pooled = found[""].states, found[""].pooled
        unwanted[""] = Embedded(torch.zeros_like(states), None if pooled is None else torch.zeros_like(pooled))
    return {text: found[text] for text in prompts}, unwanted


def arguments(wanted: Embedded, unwanted: Embedded) -> dict[str, Any]:
    """The pipeline arguments that replace `prompt` and `negative_prompt`."""
    named: dict[str, Any] = {"prompt_embeds": wanted.states, "negative_prompt_embeds": unwanted.states}
    if wanted.pooled is not None:
        named |= {"pooled_prompt_embeds": wanted.pooled, "negative_pooled_prompt_embeds": unwanted.pooled}
    return named


def _embed_all(
    tokenizer: Any, encoder: Any, texts: Sequence[str], skip: int | None, *, sdxl: bool
) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
    """Embedding and pooled vector of each text, with as many chunks each."""
    chunked = [_chunks(tokenizer, parse(text)) for text in texts]
    count = max(map(len, chunked))
    return [_encode(tokenizer, encoder, c + [[]] * (count - len(c)), skip, sdxl=sdxl) for c in chunked]


def _chunks(tokenizer: Any, pieces: Sequence[Piece]) -> list[Tokens]:
    """Tokens with their weights, in chunks of what the encoder reads at once less start and end.

    As A1111 cuts them: what stands behind a chunk's last comma goes to the next one, if it is at most 20 tokens; a
    textual inversion of several vectors is never torn.
    """
    room, comma = tokenizer.model_max_length - 2, _comma(tokenizer)
    chunks: list[Tokens] = [[]]
    last_comma = -1
    for piece in pieces:
        if piece.text is None:
            chunks.append([])
            last_comma = -1
            continue
        ids = tokenizer(piece.text, truncation=False, add_special_tokens=False, verbose=False).input_ids
        for run in _unbroken(tokenizer, ids):
            full = len(chunks[-1]) == room
            if run == [comma]:
                last_comma = len(chunks[-1])
            elif full and last_comma >= 0 and room - last_comma <= BACKTRACK:
                moved = chunks[-1][last_comma + 1 :]
                del chunks[-1][last_comma + 1 :]
                chunks.append(moved)
                last_comma = -1
            if len(chunks[-1]) + len(run) > room:
                chunks.append([])
                last_comma = -1
            chunks[-1].extend((token, piece.weight) for token in run[:room])
    return chunks[:-1] if len(chunks) > 1 and not chunks[-1] else chunks


def _comma(tokenizer: Any) -> int | None:
    """The token of a comma that ends a word, as CLIP has it."""
    found: int | None = tokenizer.get_vocab().get(",</w>")
    return found


def _unbroken(tokenizer: Any, ids: Sequence[int]) -> Iterator[list[int]]:
    """Single tokens, and the tokens of a textual inversion together: `<dawn>`, `<dawn>_1`, `<dawn>_2` ..."""
    known: Mapping[int, str] = {number: token for token, number in tokenizer.get_added_vocab().items()}
    run: list[int] = []
    for each in ids:
        name = known.get(each, "")
        if run and name and name == f"{known[run[0]]}_{len(run)}":
            run.append(each)
            continue
        if run:
            yield run
        run = [each] if name else []
        if not name:
            yield [each]
    if run:
        yield run


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
