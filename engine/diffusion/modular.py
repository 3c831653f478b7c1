"""Modular pipelines, which is all that some newer models have: blocks in place of a call. For the engine's thread."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch

from engine.api.errors import ModelUnloadable

GUIDER = "guider"  # their guidance is a part, not an argument
NEEDED = ("transformer", "unet", "vae", "scheduler", "text_", "tokenizer")  # begin the names of what none does without
UPSAMPLER = "prompt_upsampler"


def load(name: str, folder: Path, dtype: torch.dtype, given: Mapping[str, Any]) -> Any:
    """The pipeline of a folder with a modular_model_index.json, from safetensors only; its code is never run.

    Args:
        given: parts of it that are loaded already.

    Raises: ModelUnloadable when a part of it is missing.
    """
    if pickles := sorted(folder.glob("*/*.bin")):
        raise ModelUnloadable(name=name, reason=f"{pickles[0].name} is a pickle, which may run code; use .safetensors")
    made: Any = diffusers.ModularPipeline
    pipe = made.from_pretrained(folder, local_files_only=True)
    pipe.update_components(**given)
    pipe.load_components(dtype=dtype, local_files_only=True)
    missing = [each for each in pipe.pretrained_component_names if getattr(pipe, each, None) is None]
    if broken := next((each for each in missing if (folder / each).is_dir()), ""):
        raise ModelUnloadable(name=name, reason=f"its part {broken} can't be loaded")
    if absent := next((each for each in missing if each.startswith(NEEDED)), ""):
        place = pipe.get_component_spec(absent).pretrained_model_name_or_path
        told = f", which its index has of '{place}'" if place else ""
        raise ModelUnloadable(name=name, reason=f"its part {absent} is missing{told}; put it into its folder")
    return _without_upsampler(pipe, folder) if UPSAMPLER in missing else pipe


def _without_upsampler(pipe: Any, folder: Path) -> Any:
    """The pipeline that reads prompts as they are: what writes FLUX.3's anew is as large as the rest of it."""
    blocks = pipe.blocks
    blocks.sub_blocks.pop(UPSAMPLER)
    plain = blocks.init_pipeline(str(folder))
    plain.update_components(**{name: part for name, part in pipe.components.items() if name in plain.component_names})
    return plain


def is_modular(pipe: Any) -> bool:
    return isinstance(pipe, diffusers.ModularPipeline)


def parameters(pipe: Any) -> frozenset[str]:
    """What its blocks take, and its guidance."""
    return frozenset(each.name for each in pipe.blocks.inputs if each.name) | {GUIDER}


def picture(pipe: Any, arguments: Mapping[str, Any]) -> Any:
    """The picture that its blocks paint. A part that guides is the job's own."""
    named = {name: value for name, value in arguments.items() if name != GUIDER}
    guider = getattr(pipe, GUIDER, None)
    scale = arguments.get(GUIDER)
    if guider is not None and scale is not None:  # it may be off in the model's own, as in distilled ones
        asked = {"guidance_scale": scale, "enabled": scale > 1}
        pipe.__dict__[GUIDER] = type(guider).from_config(guider.config, **asked)
    elif guider is not None:
        pipe.__dict__[GUIDER] = copy.deepcopy(guider)
    return pipe(output="images", **named)[0]
