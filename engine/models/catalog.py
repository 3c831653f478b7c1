"""What is known of a model before its weights are loaded: small JSON files and a safetensors header. Knows no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from engine import mini
from engine.api.errors import ModelUnloadable
from engine.api.model_info import ModelInfo, Upscaler
from engine.models import facts, families
from engine.models.facts import MAX_AREA, Parts, read_json

OWN_DEFAULTS = "easel.json"
OWN_KEYS = ("width", "height", "num_inference_steps", "guidance_scale", "scheduler", "max_pixels")
MAX_HEADER_BYTES = 100 << 20


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
    def single_file(self) -> bool:
        return self.location.endswith(".safetensors")


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
    return location.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].removesuffix(".safetensors") or location


def describe(model: Source) -> ModelInfo:
    """Read what the model's own files tell. Raises: ModelUnloadable."""
    path = model.path or _cached_snapshot(model.location)
    card = families.published(model.location)
    if path is None:
        return _undescribed(model, card)
    folder = path.with_suffix("") if path.is_file() else path
    parts = facts.read_parts(folder)
    return _as_owner_says(facts.read(model.key, pipeline_class(model), parts, card), folder)


def pipeline_class(model: Source) -> str:
    """The diffusers class that a model on this disk is loaded as. Raises: ModelUnloadable."""
    path = model.path or _cached_snapshot(model.location)
    assert path is not None, "what is not here has no class yet"
    if path.is_file():
        return _class_of_header(model, path)
    index = read_json(path / "model_index.json")
    if not index:
        raise ModelUnloadable(name=model.key, reason="its folder has no model_index.json")
    return str(index.get("_class_name", ""))


def is_described(model: Source) -> bool:
    """Whether there is something to read yet; a hub model that was never downloaded is known by its id only."""
    return model.path is not None or _cached_snapshot(model.location) is not None


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


UPSCALER = "(upscaler)"  # its key among the models; nobody can name one so
SWIN_TILE_PX, DIFFUSION_TILE_PX = 128, 256  # a tile's forward stays small; diffusion sees its surroundings
_UPSCALERS = {
    "Swin2SRForImageSuperResolution": SWIN_TILE_PX,
    "StableDiffusionLatentUpscalePipeline": DIFFUSION_TILE_PX,
    "StableDiffusionUpscalePipeline": DIFFUSION_TILE_PX,
}


def class_of(model: Source) -> str:
    """The class of an upscaler: told by its files, or by its name before it was downloaded."""
    if model.path is not None:
        config = read_json(model.path / "config.json")
        return str(
            read_json(model.path / "model_index.json").get("_class_name") or (config.get("architectures") or [""])[0]
        )
    name = model.location.lower()
    if "swin2sr" in name:
        return "Swin2SRForImageSuperResolution"
    return "StableDiffusionLatentUpscalePipeline" if "latent" in name else "StableDiffusionUpscalePipeline"


def describe_upscaler(location: str) -> tuple[Source, Upscaler]:
    """The model for faithful upscales. Raises: ModelUnloadable when it can be none."""
    found = source("upscaler", location)
    kind = class_of(found)
    if kind not in _UPSCALERS:
        reason = "it is no Swin2SR of transformers, and no latent or x4 upscaler of diffusers"
        raise ModelUnloadable(name="upscaler", reason=reason)
    config = read_json(found.path / "config.json") if found.path is not None else {}
    scale = 4 if kind == "StableDiffusionUpscalePipeline" or "x4" in location.lower() else 2
    scale = int(config.get("upscale", scale))
    return found, Upscaler(name=key_of(location), scale=scale, tile_px=_UPSCALERS[kind])


def _class_of_header(model: Source, path: Path) -> str:
    """The pipeline class of a single file, by tensor names that only its family has."""
    names = safetensors_names(path)
    if not names:
        raise ModelUnloadable(name=model.key, reason="it is not a safetensors file")
    if any(n.startswith("conditioner.embedders.1.") for n in names):
        return "StableDiffusionXLPipeline"
    if any("joint_blocks." in n for n in names):
        return "StableDiffusion3Pipeline"
    return "FluxPipeline" if any("double_blocks." in n for n in names) else "StableDiffusionPipeline"


def safetensors_names(path: Path) -> tuple[str, ...]:
    """The tensor names in a safetensors file's header; empty when it is none."""
    return tuple(safetensors_shapes(path))


def safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The tensors' shapes by name, from a safetensors file's header; empty when it is none."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if not 0 < size < MAX_HEADER_BYTES:
            return {}
        try:
            header = json.loads(file.read(size))
        except ValueError:
            return {}
    tensors = header.items() if isinstance(header, dict) else ()
    return {name: tuple(facts["shape"]) for name, facts in tensors if isinstance(facts, dict) and "shape" in facts}


def _cached_snapshot(repo: str) -> Path | None:
    """The folder of a hub model that was downloaded before."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, "model_index.json")
    return Path(found).parent if isinstance(found, str) else None
