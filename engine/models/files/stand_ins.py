"""Parts of a diffusers folder that diffusers can't load as its index names them, loaded here. Knows transformers' and
diffusers' own classes only: code that comes with a model is never run."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers.models.transformers import transformer_cosmos
from diffusers.pipelines import deprecated
from transformers.utils import is_torchvision_available

T5GEMMA = "T5GemmaEncoder"  # which transformers doesn't name among its classes
FAST = "ImageProcessorFast"  # as folders of transformers 4 name them: without torchvision, transformers has none
VIDEOS = "video_processor"


def of(folder: Path, index: Mapping[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """The parts by name. Raises: whatever loading one of them does."""
    if not is_torchvision_available():
        vars(transformer_cosmos).setdefault("transforms", _Transforms)
    parts = {name: named for name, named in index.items() if isinstance(named, list) and len(named) == 2 and named[1]}
    for library, class_name in parts.values():
        _name_again(str(library), str(class_name))
    ours = {name: str(named[1]) for name, named in parts.items() if named[0] == "transformers"}
    return {name: made for name, kind in ours.items() if (made := _made(folder / name, kind, dtype)) is not None}


class _Transforms:
    """What Cosmos' transformer asks of torchvision: a mask in another size."""

    class InterpolationMode:
        NEAREST = "nearest"

    class functional:  # as torchvision calls it
        @staticmethod
        def resize(picture: torch.Tensor, size: Sequence[int], interpolation: str) -> torch.Tensor:
            return torch.nn.functional.interpolate(picture, tuple(size), mode=interpolation)


def _made(part: Path, class_name: str, dtype: torch.dtype) -> Any:
    """One of transformers' parts; None when diffusers may load it."""
    kind: Any = getattr(transformers, class_name, None)
    local: dict[str, Any] = {"local_files_only": True}
    if class_name == T5GEMMA:  # made as large as Google's otherwise, whatever its config says
        kind = importlib.import_module("transformers.models.t5gemma.modeling_t5gemma").T5GemmaEncoder
        own = transformers.T5GemmaModuleConfig.from_pretrained(part, **local)
        return kind.from_pretrained(part, config=own, dtype=dtype, use_safetensors=True, **local)
    if is_torchvision_available():
        return None
    if class_name.endswith(FAST):
        kind = getattr(transformers, class_name.removesuffix("Fast"), None)
        return kind and kind.from_pretrained(part, **local)
    return _without_videos(kind).from_pretrained(part, **local) if _reads_videos(kind) else None


def _reads_videos(kind: Any) -> bool:
    processor = isinstance(kind, type) and issubclass(kind, transformers.ProcessorMixin)
    return processor and VIDEOS in kind.get_attributes()


def _without_videos(kind: Any) -> Any:
    """A processor of words, pictures and videos as one of words and pictures: only videos need torchvision."""

    def attributes(cls: Any) -> list[str]:
        return [name for name in super(made, cls).get_attributes() if name != VIDEOS]

    made: Any = type(kind.__name__, (kind,), {"__module__": kind.__module__, "get_attributes": classmethod(attributes)})
    return made


def _name_again(library: str, class_name: str) -> None:
    """Name a class that diffusers put aside (Würstchen's, Stable Cascade's) where folders say that it is."""
    for room in pkgutil.iter_modules(deprecated.__path__) if not hasattr(diffusers, class_name) else ():
        if library in ("diffusers", room.name):
            found = importlib.import_module(f"{deprecated.__name__}.{room.name}")
            if hasattr(found, class_name):
                vars(diffusers.pipelines).setdefault(room.name, found)
                vars(diffusers)[class_name] = getattr(found, class_name)
