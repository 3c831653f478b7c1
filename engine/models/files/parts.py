"""Weights of folders, read into modules that then hold nothing else: what libraries would fill up with chance is
refused. Each can be put where it's kept before the next is read.

Knows transformers' and diffusers' own classes only: code that comes with a model is never run.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import diffusers
import transformers
from torch import nn

from engine.api.errors import ModelUnloadable
from engine.device.failures import too_few, unfilled
from engine.models import facts, signatures
from engine.models.files import stand_ins

LIBRARIES = ("diffusers", "transformers")
READ = "text_encoder"  # begins the names of language models that only read
Put = Callable[[str, nn.Module], None]  # a pipeline's part by its name, whole; may move its tensors elsewhere


def leave(part: str, module: nn.Module) -> None:
    """Where it was read to."""


def load(name: str, made: Any, folder: str | Path, *, answers: bool = True, **how: Any) -> Any:
    """A module of diffusers' or transformers' from its folder. Raises: ModelUnloadable, when some of it isn't there.

    Args:
        answers: whether a language model must be able to, or is read before it does.
    """
    known = {"use_safetensors": True, "local_files_only": True, "output_loading_info": True, **how}
    module, told = made.from_pretrained(folder, **known)
    needed = {each for each, _ in module.named_parameters()} - (set() if answers else _head(module))
    if missing := needed & set(told["missing_keys"]):
        what = Path(folder, how.get("subfolder", "")).name
        raise ModelUnloadable(name=name, reason=too_few(what, len(needed) - len(missing), len(needed)))
    return module


def refuse_unfilled(name: str, module: nn.Module) -> None:
    """Look at what a library read in its own way, of files other than folders. Raises: ModelUnloadable."""
    if reason := unfilled(module):
        raise ModelUnloadable(name=name, reason=reason)


def _head(module: Any) -> set[str]:
    """What a language model answers with."""
    head = module.get_output_embeddings() if isinstance(module, transformers.PreTrainedModel) else None
    own = {id(each) for each in head.parameters()} if head is not None else set()
    return {each for each, tensor in module.named_parameters() if id(tensor) in own}


def pipeline(
    name: str, made: Any, folder: Path, how: Mapping[str, Any], put: Put = leave, given: Mapping[str, Any] | None = None
) -> Any:
    """A pipeline of a diffusers folder around the parts that are `given`, without a safety checker of its own.

    Args:
        made: its class, or one of those that find it. how: to load parts, and the pipeline.
        put: is given each part as soon as it's read, but for those that only diffusers knows how to load.
    """
    given = dict(given or {})
    index = facts.read_parts(folder).index
    if facts.CHECKER in index:
        given |= {facts.CHECKER: None, "requires_safety_checker": False}
    wanted = components(str(index.get("_class_name", "")))
    rest = {part: kind for part, kind in index.items() if part not in given and (not wanted or part in wanted)}
    given |= of(name, folder, {part: kind for part, kind in rest.items() if part not in given}, how, put)
    return made.from_pretrained(folder, **how, **given)


def components(saved: str) -> Iterable[str]:
    """The parts of the pipeline that a folder is painted with: of one saved with a ControlNet, all but that."""
    known = signatures.of(signatures.plain(saved))
    return known.components if known else ()


def of(name: str, folder: Path, index: Mapping[str, Any], how: Mapping[str, Any], put: Put = leave) -> dict[str, Any]:
    """A folder's parts that have weights, by name; without those that only diffusers knows how to load."""
    found = stand_ins.of(folder, index, how["dtype"])
    for part, module in found.items():
        if isinstance(module, nn.Module):
            put(part, module)
    for part, kind in classes(index).items():
        if part not in found and any((folder / part).glob("*.safetensors")):
            own = _variant(folder / part, how)
            found[part] = load(name, kind, folder / part, answers=not part.startswith(READ), **own)
            put(part, found[part])
    return found


def classes(index: Mapping[str, Any]) -> dict[str, Any]:
    """The classes of an index's parts that tell what they miss, by the parts' names."""
    named = {part: kind for part, kind in index.items() if isinstance(kind, list) and len(kind) > 1 and kind[1]}
    kinds = {part: _class(str(kind[0]), str(kind[1])) for part, kind in named.items()}
    return {part: kind for part, kind in kinds.items() if kind is not None}


def _class(library: str, class_name: str) -> Any:
    found = getattr(importlib.import_module(library), class_name, None) if library in LIBRARIES else None
    telling = (diffusers.ModelMixin, transformers.PreTrainedModel)
    return found if isinstance(found, type) and issubclass(found, telling) else None


def _variant(part: Path, how: Mapping[str, Any]) -> Mapping[str, Any]:
    """How to load a part of a folder: the variant, where it comes in that."""
    if "variant" not in how or any(part.glob(f"*.{how['variant']}*.safetensors")):
        return how
    return {each: value for each, value in how.items() if each != "variant"}
