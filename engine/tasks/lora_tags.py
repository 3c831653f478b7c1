"""What a prompt says of adapters: `<lora:name:0.8>`, and words that stand for textual inversions. Knows no torch.

The tag is A1111's (`modules/extra_networks.py` there), so prompts travel between tools.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, NamedTuple

from engine.api.errors import InvalidRequest
from engine.api.model_info import ModelInfo
from engine.tasks.txt2img import Txt2Img

MAX_WEIGHT = 4.0  # beyond it nothing but noise is left
MAX_LORAS = 4  # each costs memory and time in every step
_SAMPLING = ("num_inference_steps", "guidance_scale", "scheduler")
_TAG = re.compile(r"<(?:lora|lyco):([^:<>]*)(?::([^:<>]*))?(?::([^:<>]*))?>", re.IGNORECASE)


class Weights(NamedTuple):
    """How strongly a LoRA changes the text encoders, and the denoiser."""

    words: float
    picture: float

    def plus(self, other: Weights) -> Weights:
        return Weights(self.words + other.words, self.picture + other.picture)


def loras(prompt: str) -> dict[str, Weights]:
    """The weights of each LoRA by name as it was typed; of one named twice the sum. Raises: InvalidRequest.

    As A1111 reads them: `<lora:name:text encoders:denoiser>`, one number for both, or none for 1.
    """
    found: dict[str, Weights] = {}
    for match in _TAG.finditer(prompt):
        name = match[1].strip()
        words = _weight(name, match[2], "te")
        picture = words if match[3] is None else _weight(name, match[3], "unet")
        found[name] = found.get(name, Weights(0.0, 0.0)).plus(Weights(words, picture))
    if len(found) > MAX_LORAS:
        raise InvalidRequest(f"The prompt asks for {len(found)} LoRAs.", f"Use at most {MAX_LORAS}.")
    return found


def without(prompt: str) -> str:
    """The words alone; a prompt without tags comes back unchanged."""
    return " ".join(_TAG.sub("", prompt).split()) if _TAG.search(prompt) else prompt


def keeping(text: str, known: Iterable[str]) -> str:
    """The text with only those tags that name one of these LoRAs."""
    names = {name.casefold() for name in known}
    return _TAG.sub(lambda match: match[0] if match[1].strip().casefold() in names else "", text)


def _weight(name: str, text: str | None, label: str) -> float:
    try:
        weight = 1.0 if text is None else float(text.strip().removeprefix(f"{label}="))
    except ValueError:
        weight = float("nan")
    if not -MAX_WEIGHT <= weight <= MAX_WEIGHT:
        what = f"The weight of the LoRA {_quoted(name)} isn't a number from {-MAX_WEIGHT:g} to {MAX_WEIGHT:g}."
        raise InvalidRequest(what, "Write it like <lora:name:0.8>.")
    return weight


def used(request: Txt2Img, info: ModelInfo) -> tuple[dict[str, Weights], tuple[str, ...]]:
    """The LoRAs with weights other than 0, and the embeddings that a complete request needs, by their keys."""
    keys = {key.casefold(): key for key in info.loras}
    wanted = {keys[name.casefold()]: weight for name, weight in loras(request.prompt).items() if any(weight)}
    words = without(request.prompt) + "\n" + request.negative_prompt
    return wanted, tuple(key for key in info.embeddings if _word(key).search(words))


def check(prompt: str, negative_prompt: str, info: ModelInfo, models: Sequence[ModelInfo] = ()) -> tuple[str, ...]:
    """The keys of the prompt's LoRAs, if they fit. `models`: others that they may fit. Raises: InvalidRequest."""
    if _TAG.search(negative_prompt):
        raise InvalidRequest("A LoRA does nothing in the negative prompt.", "Move its <lora:...> into the prompt.")
    keys = {key.casefold(): key for key in info.loras}
    return tuple(keys.get(name.casefold()) or _refuse(name, info, models) for name in loras(prompt))


def sampled_by(info: ModelInfo, prompt: str) -> ModelInfo:
    """The model's facts with what the prompt's LoRAs want of steps, guidance and scheduler. Raises: InvalidRequest."""
    named = {name.casefold() for name, weight in loras(prompt).items() if any(weight)}
    for wanted in info.lora_defaults:
        if wanted.name.casefold() in named:
            facts = {name: getattr(wanted, name) for name in _SAMPLING}
            changes: dict[str, Any] = {name: value for name, value in facts.items() if value is not None}
            info = replace(info, **changes)
    return info


def _refuse(name: str, info: ModelInfo, models: Sequence[ModelInfo]) -> str:
    fitting = [other.key for other in models if name.casefold() in map(str.casefold, other.loras)]
    if fitting:
        raise InvalidRequest(f"The LoRA {_quoted(name)} does not fit {info.key}.", f"It fits: {', '.join(fitting)}.")
    near = get_close_matches(name[:80].casefold(), {key.casefold(): key for key in info.loras}, n=1, cutoff=0.5)
    known = f"It can use: {', '.join(info.loras)}." if info.loras else "It can use none."
    mend = f"Did you mean <lora:{near[0]}:1>?" if near else known
    raise InvalidRequest(f"The model {info.key} has no LoRA {_quoted(name)}.", mend)


def _quoted(name: str) -> str:
    """What somebody typed, inside one of our sentences: nothing in it can be markup."""
    return "'" + "".join(char if char.isalnum() or char in " .+-" else "·" for char in name[:40]) + "'"


def token(key: str) -> str:
    """The token that stands for an embedding: one that is no word of any tokenizer's."""
    return f"<{key.casefold()}>"


def tokens_in(text: str, keys: Iterable[str]) -> str:
    """The text with the names of embeddings as their tokens."""
    for key in keys:
        text = _word(key).sub(token(key), text)
    return text


def strange(prompt: str, taught: Iterable[str]) -> str:
    """The prompt without tags and without words that adapters teach: what a model has to know by itself."""
    words = without(prompt)
    for key in taught:
        words = _word(key).sub(" ", words)
    return words


def _word(key: str) -> re.Pattern[str]:
    return re.compile(rf"<{re.escape(key)}>|(?<![\w<]){re.escape(key)}(?![\w>])", re.IGNORECASE)
