"""What is known of a model before its weights are loaded: small JSON files and a safetensors header. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from engine import mini
from engine.api.errors import ModelUnloadable
from engine.api.model_info import ModelInfo
from engine.models import checkpoints, facts, families, whole
from engine.models.checkpoints import Checkpoint
from engine.models.facts import MAX_AREA, Parts, read_json
from engine.models.files import hub, modelspec

OWN_DEFAULTS = "easel.json"
OWN_KEYS = ("width", "height", "num_inference_steps", "guidance_scale", "scheduler", "max_pixels", "margins")
WEIGHTS = (".safetensors", ".sft", ".gguf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model comes from: a diffusers folder, a single `.safetensors` file or a hub id."""

    key: str
    location: str

    @property
    def path(self) -> Path | None:
        path = Path(self.location).expanduser()
        return path if path.exists() else None

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
    found = Source(key=key, location=str(mini.MODEL_DIR) if location == "mini" else location)
    if location.endswith((".ckpt", ".pt", ".pth", ".bin", ".pkl")):
        raise ModelUnloadable(name=key, reason="it is a pickle, which may run code; use .safetensors")
    if found.path is None and (found.single_file or location.count("/") != 1 or location.startswith((".", "~", "/"))):
        raise ModelUnloadable(name=key, reason=f"there is no file, folder or hub id '{location}'")
    return found


def key_of(location: str) -> str:
    """The name users type for a model that was given no other."""
    name = location.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return next((name[: -len(end)] for end in WEIGHTS if name.casefold().endswith(end)), name) or location


def describe(model: Source) -> ModelInfo:
    """Read what the model's own files tell. Raises: ModelUnloadable."""
    path = model.on_disk
    card = families.published(model.location)
    if path is None:
        return _undescribed(model, card)
    if path.is_file():
        beside, found = path.with_suffix(""), checkpoint(model, path)
        parts = checkpoints.parts_of(found, facts.read_parts(beside))
        said = modelspec.about(model.key, whole.read_header(path).metadata)
        info = replace(facts.read(model.key, found.pipeline, parts, card), about=(said,) if said else ())
        return _as_owner_says(info, beside)
    parts = facts.read_parts(path)
    if not parts.index:
        raise ModelUnloadable(name=model.key, reason="its folder has no model_index.json, nor a modular one")
    info = facts.read(model.key, str(parts.index.get("_class_name", "")), parts, card)
    info = replace(info, revision=model.revision, small_world=path.resolve() == mini.MODEL_DIR.resolve())
    return _as_owner_says(info, path)


def checkpoint(model: Source, path: Path) -> Checkpoint:
    """What a single file is. Raises: ModelUnloadable when it is nothing to paint with."""
    found = checkpoints.recognise(whole.read_header(path))
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


def _as_owner_says(info: ModelInfo, folder: Path) -> ModelInfo:
    """With the defaults of the folder's own `easel.json`."""
    own = read_json(folder / OWN_DEFAULTS)
    info = replace(info, **{k: own[k] for k in OWN_KEYS if k in own})
    return replace(info, max_pixels=own.get("max_pixels", info.width * info.height * MAX_AREA))
