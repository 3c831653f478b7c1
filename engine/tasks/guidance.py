"""Guidance and negative prompts as each pipeline takes them, and what a model ignores. Knows no torch."""

from __future__ import annotations

import re
from typing import Any

from engine.api import clip_tokens
from engine.api.model_info import ModelInfo
from engine.tasks import lora_tags
from engine.tasks.txt2img import Txt2Img

TRUE = "true_cfg_scale"
SCHEDULE = "guidance_schedule"  # Ideogram's: a number for each step
TRUE_SCALE = 2.0  # beside a distilled guidance: more, and the two together burn the picture's colours
_MARKED = re.compile(r"\([^()]*:\s*[-+.\d]+\s*\)|\[[^\[\]]*[:|][^\[\]]*\]|\(\(|\bAND\b|\bBREAK\b")
BLANK = " "  # true guidance is off without a negative prompt; this is what Qwen-Image's card recommends


def arguments(request: Txt2Img, info: ModelInfo, negative_prompt: str) -> dict[str, Any]:
    """What the guidance adds to the pipeline's call. Names that the pipeline does not know are left out later.

    Models with a distilled guidance take true guidance too, so there a negative prompt is what switches it on.
    """
    scale = request.guidance_scale or 0.0
    if info.guided_by == TRUE:
        return {TRUE: scale, "negative_prompt": negative_prompt or (BLANK if scale > 1 else None)}
    if info.guided_by == SCHEDULE:  # its own is for its own number of steps
        own = (scale, request.num_inference_steps) == (info.guidance_scale, info.num_inference_steps)
        return {} if own else {SCHEDULE: [scale] * (request.num_inference_steps or 1)}
    named: dict[str, Any] = {info.guided_by: scale} if info.guided_by else {}
    return {**named, "negative_prompt": negative_prompt or None, TRUE: TRUE_SCALE if negative_prompt else None}


def unheard(request: Txt2Img, info: ModelInfo, *, guided: bool, strong: bool) -> str:
    """What a model makes nothing of, for people; `guided`, `strong`: whether they named a guidance, a strength."""
    said = []
    if request.negative_prompt and not info.negative_prompts:
        said.append(f"{info.key} takes no negative prompt, so it was left out.")
    elif request.negative_prompt and not _is_on(request, info):
        said.append(f"At guidance {request.guidance_scale:g} a negative prompt has no effect; use more than 1.")
    wanted = {name.casefold() for name in lora_tags.loras(request.prompt)}
    for name, percent in info.lora_shares:
        if name.casefold() in wanted:
            said.append(f"Only {percent} % of the LoRA {name} fits {info.key}; the rest does nothing.")
    if not info.weighted_prompts and _MARKED.search(request.prompt):
        said.append(f"{info.key} reads brackets as they stand: weights and words that change have no effect.")
    if info.clip_cut and (tokens := clip_tokens.cut_after(lora_tags.without(request.prompt))):
        read = clip_tokens.READS - 2
        said.append(f"One of {info.key}'s text encoders reads the first {read} of this prompt's {tokens} tokens only.")
    if guided and not info.guided_by:
        said.append(f"{info.key} takes no guidance.")
    if strong and request.task == "edit" and not info.kept_by:
        said.append(f"{info.key} can't be told how much to change, so the strength has no effect.")
    if strong and info.references and request.task == "img2img":
        said.append(f"{info.key} sees your picture beside the words, so a strength has no effect.")
    return " ".join(said)


def _is_on(request: Txt2Img, info: ModelInfo) -> bool:
    """Whether the unwanted words are read at all."""
    unguided = (request.guidance_scale or 0.0) <= 1
    return not (unguided and (info.guided_by == TRUE or info.weighted_prompts))
