"""What is known of a model before its weights are loaded: small JSON files and a safetensors header. Knows no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import mini
from engine.api import schedulers
from engine.api.errors import ModelUnloadable
from engine.api.model_info import ModelInfo, Upscaler
from engine.models import families
from engine.models.families import Family

INPAINT_CHANNELS = 9  # latents 4, mask 1, the kept picture's latents 4: such a UNet can do nothing else
OWN_DEFAULTS = "easel.json"
OWN_KEYS = ("width", "height", "num_inference_steps", "guidance_scale", "scheduler", "max_pixels")
MAX_AREA = 4  # times the native area: beyond it models repeat themselves
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
    path = model.path
    if path is None:
        path = _cached_snapshot(model.location)
    if path is None:
        return _info(model, _guess(model.location))
    if path.is_file():
        return _info(model, _family_of_header(model, path))
    index = read_json(path / "model_index.json")
    if not index:
        raise ModelUnloadable(name=model.key, reason="its folder has no model_index.json")
    return _described(model, path, families.by_pipeline(str(index.get("_class_name", ""))))


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


def _described(model: Source, folder: Path, family: Family) -> ModelInfo:
    scheduler = read_json(folder / "scheduler" / "scheduler_config.json")
    info = _info(model, family, side=_native_side(folder, family))
    info = replace(info, multiple_px=max(info.multiple_px, _vae_factor(folder) or 1))
    if scheduler and not family.flow:
        info = replace(info, scheduler=schedulers.from_config(scheduler).name)
    if read_json(folder / "unet" / "config.json").get("in_channels") == INPAINT_CHANNELS:
        info = replace(info, tasks=frozenset({"inpaint", "outpaint"}))
    own = read_json(folder / OWN_DEFAULTS)
    info = replace(info, **{k: own[k] for k in OWN_KEYS if k in own})
    return replace(info, max_pixels=own.get("max_pixels", info.width * info.height * MAX_AREA))


def _info(model: Source, family: Family, side: int | None = None) -> ModelInfo:
    steps, guidance = families.distilled(model.location) or (family.num_inference_steps, family.guidance_scale)
    side = side or family.side
    return ModelInfo(
        key=model.key,
        family=family.name,
        width=side,
        height=side,
        num_inference_steps=steps,
        guidance_scale=guidance,
        scheduler="flow_euler" if family.flow else "euler",
        multiple_px=family.multiple_px,
        max_pixels=side * side * MAX_AREA,
        weighted_prompts=family.clip_prompts,
    )


def _native_side(folder: Path, family: Family) -> int | None:
    """Denoiser's sample size x the VAE's factor, as the pipelines compute it."""
    denoiser = read_json(folder / "unet" / "config.json") or read_json(folder / "transformer" / "config.json")
    sample, factor = 128 if family.packed else denoiser.get("sample_size"), _vae_factor(folder)
    return sample * factor if isinstance(sample, int) and factor else None


def _vae_factor(folder: Path) -> int | None:
    """Pixels a latent: 2 for every level of the VAE after the first."""
    levels = read_json(folder / "vae" / "config.json").get("block_out_channels")
    return int(2 ** (len(levels) - 1)) if levels else None


def _family_of_header(model: Source, path: Path) -> Family:
    """Which family a single file belongs to, by tensor names that only that family has."""
    names = safetensors_names(path)
    if not names:
        raise ModelUnloadable(name=model.key, reason="it is not a safetensors file")
    if any(n.startswith("conditioner.embedders.1.") for n in names):
        return families.SDXL
    if any("joint_blocks." in n for n in names):
        return families.SD3
    if any("double_blocks." in n for n in names):
        return families.FLUX
    return families.SD1


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


def _guess(location: str) -> Family:
    """The family of a hub model that was never downloaded, by its name; loading it tells the truth."""
    name = location.lower()
    words = (("xl", families.SDXL), ("3-", families.SD3), ("3.5", families.SD3), ("flux", families.FLUX))
    return next((family for word, family in words if word in name), families.SD1)


def _cached_snapshot(repo: str) -> Path | None:
    """The folder of a hub model that was downloaded before."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, "model_index.json")
    return Path(found).parent if isinstance(found, str) else None


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON object in a file; empty when there is none."""
    if not path.is_file():
        return {}
    value = json.loads(path.read_text(encoding="utf-8"))
    return value if isinstance(value, dict) else {}
