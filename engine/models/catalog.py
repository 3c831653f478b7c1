"""What is known of a model before its weights are loaded: small JSON files and a safetensors header. Knows no torch."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import mini
from engine.api.errors import ModelUnloadable
from engine.api.model_info import ModelInfo
from engine.models import checkpoints, facts, families, own_defaults, whole
from engine.models.checkpoints import Checkpoint
from engine.models.facts import MAX_AREA, Parts
from engine.models.files import hub, modelspec

WEIGHTS = (".safetensors", ".sft", ".gguf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model comes from: a diffusers folder, a single `.safetensors` file or a hub id."""

    key: str
    location: str

    @property
    def path(self) -> Path | None:
        path = os.path.expanduser(self.location)
        return Path(path) if os.path.exists(path) else None  # pathlib's would raise where a name is too long, say

    @property
    def on_disk(self) -> Path | None:
        """Where its files are: its own, or those of a hub model that was downloaded before, as a whole or in part."""
        return self.path or hub.snapshot(self.location)

    @property
    def revision(self) -> str:
        """The commit of a hub model that is here; its folder in the cache is called so."""
        return "" if self.path is not None or self.on_disk is None else self.on_disk.name

    @property
    def single_file(self) -> bool:
        """Told by its name, until it is there."""
        return self.path.is_file() if self.path is not None else self.location.casefold().endswith(WEIGHTS)


def source(key: str, location: str) -> Source:
    """The source behind a setting. Raises: ModelUnloadable when it can be none."""
    found = Source(key=key, location=str(mini.folder(location) or location))
    if location.endswith((".ckpt", ".pt", ".pth", ".bin", ".pkl")):
        raise ModelUnloadable(name=key, reason="it is a pickle, which may run code; use .safetensors")
    if found.path is None and (found.single_file or location.count("/") != 1 or location.startswith((".", "~", "/"))):
        raise ModelUnloadable(name=key, reason=f"there is no file, folder or hub id '{location}'")
    return found


def with_editor(models: Mapping[str, str]) -> dict[str, str]:
    """Locations by name; where Mini is among them, so is what changes its pictures by words, behind all others."""
    places = {mini.folder(at) or Path(os.path.expanduser(at)) for at in models.values()}
    comes = mini.MODEL_DIR in places and mini.EDITOR not in models and mini.folder(mini.EDITOR) not in (None, *places)
    return {**models, **({mini.EDITOR: mini.EDITOR} if comes else {})}


def key_of(location: str) -> str:
    """The name users type for a model that was given no other."""
    name = location.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return next((name[: -len(end)] for end in WEIGHTS if name.casefold().endswith(end)), name) or location


def describe(model: Source) -> ModelInfo:
    """Read what the model's own files tell. Raises: ModelUnloadable."""
    return _as_owner_says(_described(model), model)[0]


def owners_mistakes(model: Source) -> str:
    """What in a model's `easel.json` can't be used, and is passed over; "" where all can. Raises: ModelUnloadable."""
    return _as_owner_says(_described(model), model)[1]


def _described(model: Source) -> ModelInfo:
    path = model.on_disk
    card = families.published(model.location)
    if path is None:
        return _undescribed(model, card)
    if path.is_file():
        beside, found = path.with_suffix(""), checkpoint(model, path)
        parts = checkpoints.parts_of(found, facts.read_parts(beside))
        said = modelspec.about(model.key, whole.read_header(path).metadata)
        return replace(facts.read(model.key, found.pipeline, parts, card), about=(said,) if said else ())
    parts = facts.read_parts(path)
    if not parts.index:
        raise ModelUnloadable(name=model.key, reason="its folder has no model_index.json, nor a modular one")
    info = facts.read(model.key, str(parts.index.get("_class_name", "")), parts, card)
    small = path.resolve() in (mini.MODEL_DIR.resolve(), mini.EDITOR_DIR.resolve())
    return replace(info, revision=model.revision, small_world=small)


def checkpoint(model: Source, path: Path) -> Checkpoint:
    """What a single file is. Raises: ModelUnloadable when it is nothing to paint with."""
    found = whole.of_other_kind(path) or checkpoints.recognise(whole.read_header(path))
    if isinstance(found, str):
        raise ModelUnloadable(name=model.key, reason=f"it is {found}")
    return found


def is_described(model: Source) -> bool:
    """Whether there is something to read yet; a hub model that was never downloaded is known by its id only."""
    return model.on_disk is not None


def _undescribed(model: Source, card: families.Published | None) -> ModelInfo:
    """A hub model that was never downloaded: what its card says, or next to nothing."""
    if card is not None:
        return facts.read(model.key, card.pipeline, Parts(), card)
    info = facts.read(model.key, "StableDiffusionPipeline", Parts())
    return replace(info, family=families.UNKNOWN, tasks=frozenset({"txt2img"}), multiple_px=facts.SAFE_MULTIPLE_PX)


def _as_owner_says(info: ModelInfo, model: Source) -> tuple[ModelInfo, str]:
    """With the defaults of the `easel.json` in its folder, or beside its file; and what is wrong with those."""
    if model.on_disk is None:
        return info, ""
    folder = model.on_disk.with_suffix("") if model.on_disk.is_file() else model.on_disk
    own, problem = own_defaults.read(folder / own_defaults.FILE)
    odd = _unfit(own, info)
    info = replace(info, **{key: value for key, value in own.items() if key not in odd})
    if "max_pixels" not in own.keys() - odd.keys():
        info = replace(info, max_pixels=info.width * info.height * MAX_AREA)
    return info, "; ".join(each for each in (problem, *odd.values()) if each)


def _unfit(own: Mapping[str, Any], info: ModelInfo) -> dict[str, str]:
    """What can be said of some models, but not of this one, and why."""
    odd = {}
    for side in ("width", "height"):
        if own.get(side, 0) % info.multiple_px:
            odd[side] = f"{side} must be a multiple of {info.multiple_px} for this model, not {own[side]}"
    if "scheduler" in own and info.scheduler_named(own["scheduler"]) is None:
        odd["scheduler"] = f"the scheduler {own['scheduler']} can't sample this model"
    sides = (own[side] if side in own.keys() - odd.keys() else getattr(info, side) for side in ("width", "height"))
    if own.get("max_pixels", math.inf) < math.prod(sides):
        odd["max_pixels"] = f"max_pixels is less than the model's own size, {own['max_pixels']}"
    return odd
