"""A model with LoRAs and words of one's own, by diffusers' own loaders."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from safetensors.torch import load_file

from engine.api.errors import ModelUnloadable
from engine.device import compiler
from engine.device.exclusive import exclusive
from engine.device.failures import loaded
from engine.device.loader import Tell
from engine.device.rows import adapter_rows
from engine.models.adapters import Adapter
from engine.models.derived import products
from engine.models.derived.variants import kept, shared_copy, variant_of
from engine.models.files.hashes import Hashes
from engine.models.files.weights import named_as_it_is
from engine.models.memory.sizes import DENOISERS
from engine.models.model_cache import Model, ModelCache
from engine.models.whole import read_header
from engine.tasks import lora_tags
from engine.tasks.lora_tags import Weights

NOTHING = "none of the layers that it changes is in the model"

Wanted = Mapping[Adapter, Weights]


def with_adapters(base: Model, wanted: Wanted, now: float, cache: ModelCache) -> Model:
    """The model with these adapters at these weights; itself when there are none. Raises: NotYet."""
    if not wanted:
        return base
    key = tuple((adapter.kind, adapter.name, weight) for adapter, weight in wanted.items())
    nbytes = sum(adapter.path.stat().st_size for adapter in wanted)
    return kept(base, key, now, cache, nbytes, lambda tell: _made(base, wanted, nbytes, cache.hashes, tell))


def _made(base: Model, wanted: Wanted, nbytes: int, hashes: Hashes, tell: Tell) -> Model:
    names = " and ".join(adapter.name for adapter in wanted)
    pipe, loras = copy.copy(base.pipe), {a: weight for a, weight in wanted.items() if a.kind == "lora"}
    words = [adapter for adapter in wanted if adapter.kind == "embedding"]
    with exclusive.changing():  # a step may be changing the modules themselves for its while
        _share(base.pipe, pipe, denoiser=bool(loras), own_words=bool(words))

    def attach() -> None:
        for word in words:
            _add_embedding(pipe, word)
        _attach(pipe, loras)
        if not (_multiplied(loras) or base.placing.rung.stream):
            for name in DENOISERS:
                own = getattr(base.pipe, name, None)
                if own is not None and not compiler.is_compiled(own):  # or its rows' bits would depend on company
                    adapter_rows.share(getattr(pipe, name), own)

    loaded(f"{base.key} with {names}", attach)
    return variant_of(base, pipe, nbytes, {adapter.name: hashes.of(adapter.path, tell) for adapter in wanted})


def _share(old: Any, pipe: Any, *, denoiser: bool, own_words: bool) -> None:
    """Give a copy of a pipeline modules of its own, around the same memory, where adapters will change them."""
    for name, part in old.components.items():
        if denoiser and part is not None and name in DENOISERS:
            pipe.__dict__[name] = shared_copy(part)
        elif part is not None and name.startswith("text_encoder"):
            pipe.__dict__[name] = shared_copy(part, own_words=own_words)
        elif own_words and part is not None and name.startswith("tokenizer"):
            pipe.__dict__[name] = copy.deepcopy(part)


def _attach(pipe: Any, loras: Wanted) -> None:
    done = list[Adapter]()
    for adapter in _multiplied(loras):  # before peft wraps the layers
        if products.attach(pipe, load_file(adapter.path), loras[adapter]):
            done.append(adapter)
        elif getattr(pipe, "unet", None) is not None:  # of transformers' diffusers reads some by itself
            raise ModelUnloadable(name=adapter.name, reason=NOTHING)
    rest = [adapter for adapter in loras if adapter not in done]
    names = [f"easel{number}" for number in range(len(rest))]  # peft looks for "lora_" in names
    for name, adapter in zip(names, rest, strict=True):  # the file itself: its metadata may hold the alphas
        with named_as_it_is(adapter.path) as file:
            place = {"weight_name": file.name, "local_files_only": True, "use_safetensors": True}
            pipe.load_lora_weights(str(file.parent), adapter_name=name, **place)
        if all(name not in known for known in pipe.get_list_adapters().values()):
            raise ModelUnloadable(name=adapter.name, reason=NOTHING)
    if names:
        pipe.set_adapters(names, [_by_part(pipe, loras[adapter]) for adapter in rest])


def _multiplied(loras: Iterable[Adapter]) -> list[Adapter]:
    """Those that are no plain product of two matrices."""
    return [adapter for adapter in loras if products.are_in(read_header(adapter.path).shapes)]


def _by_part(pipe: Any, weights: Weights) -> Any:
    """A LoRA's weights as diffusers takes them: one number where both are alike."""
    if weights.words == weights.picture:
        return weights.picture
    parts = {name: weights.words for name in pipe.components if name.startswith("text_encoder")}
    return {**parts, **{name: weights.picture for name in DENOISERS if name in pipe.components}}


def _add_embedding(pipe: Any, word: Adapter) -> None:
    """Give the text encoders the word's vectors, as the file has them for each."""
    vectors = load_file(word.path)
    if len(word.body.clips) == 1:
        pipe.load_textual_inversion(vectors, token=lora_tags.token(word.name))
        return
    for part, suffix in (("clip_l", ""), ("clip_g", "_2")):
        encoder, tokenizer = getattr(pipe, f"text_encoder{suffix}"), getattr(pipe, f"tokenizer{suffix}")
        pipe.load_textual_inversion(
            vectors[part], token=lora_tags.token(word.name), text_encoder=encoder, tokenizer=tokenizer
        )
