"""ControlNets, unloaded: which folders hold one, and which models they fit. Knows no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import mini
from engine.api.errors import ModelUnloadable
from engine.api.model_info import ModelInfo
from engine.models import whole
from engine.models.adapters import body_of
from engine.models.catalog import Source
from engine.models.facts import read_json
from engine.tasks import control

CLASS = "ControlNetModel"
WEIGHTS = "diffusion_pytorch_model.safetensors"  # as diffusers saves them; `.index.json` behind it when in parts
_NAME = re.compile(r"[\w.+-]{1,60}")  # what can be typed, and be shown as it is
_HINT = ("controlnet_cond_embedding.conv_in.weight", "input_hint_block.0.weight")  # diffusers' and the original's
PUBLISHED_HINT = (16, 32, 96, 256)
_READS = "attn2.to_k.weight"
_LAYOUT = ("block_out_channels", "layers_per_block")  # what it adds must meet the UNet's own, level by level
_PUBLISHED = {"block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2}
_PUBLISHED_XL = {"block_out_channels": [320, 640, 1280], "layers_per_block": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlNet:
    """A ControlNet's folder or single file, and what it says of the models it was made for.

    Attributes:
        width: of the text that it reads, in numbers a token.
        layout: its levels, as in the config; empty for a single file, whose config is that of the model's own UNet.
        hint: channels of a single file's layers that read the picture.
    """

    name: str
    path: Path
    width: int
    layout: tuple[Any, ...]
    hint: tuple[int, ...] = ()

    def fits(self, model: Source, info: ModelInfo) -> bool:
        """Whether what it says can be added to the model's UNet."""
        if info.family not in control.FAMILIES or "txt2img" not in info.tasks:
            return False
        config = _unet_of(model, info)
        as_deep = not self.layout or self.layout == _layout(config)
        return as_deep and self.width == body_of(model, info.family).width


def of_mini(sources: Iterable[Source]) -> dict[str, str]:
    """The ControlNets that come with the embedded model, where it is one of the models."""
    if all(source.path != mini.MODEL_DIR for source in sources):
        return {}
    folders = sorted(path.parent for path in mini.ADAPTERS_DIR.glob(f"*/{WEIGHTS}"))
    return {each.name: str(each) for each in folders if read_json(each / "config.json").get("_class_name") == CLASS}


def read(name: str, location: str) -> ControlNet:
    """The ControlNet behind a setting. Raises: ModelUnloadable when it can be none."""
    folder = Path(location).expanduser()
    if not _NAME.fullmatch(name):
        raise ModelUnloadable(name=name, reason="a ControlNet's name has letters, digits, '-', '_', '.' and '+' only")
    if folder.is_file():
        return _of_file(name, folder)
    config = read_json(folder / "config.json")
    if config.get("_class_name") != CLASS:
        raise ModelUnloadable(name=name, reason=f"'{folder}' is no folder of a {CLASS} as diffusers saves one")
    if not any((folder / f"{WEIGHTS}{end}").is_file() for end in ("", ".index.json")):
        raise ModelUnloadable(name=name, reason=f"'{folder}' has no {WEIGHTS}; pickles may run code, and are not read")
    whole.check(name, folder)
    width = config.get("cross_attention_dim")
    return ControlNet(name=name, path=folder, width=width if isinstance(width, int) else 0, layout=_layout(config))


def _of_file(name: str, path: Path) -> ControlNet:
    """One file, in diffusers' or the original implementation's names. Raises: ModelUnloadable."""
    if path.suffix != ".safetensors":
        raise ModelUnloadable(name=name, reason="it must be a .safetensors file; pickles may run code")
    whole.check(name, path)
    shapes = whole.read_header(path).shapes
    if not any(tensor.endswith(_HINT) for tensor in shapes):
        raise ModelUnloadable(name=name, reason=f"{path.name} is no ControlNet of SD 1.x, SD 2.x or SDXL")
    if any("task_embedding" in tensor for tensor in shapes):
        raise ModelUnloadable(name=name, reason=f"{path.name} is a ControlNet Union, which can't be used here")
    width = next((shape[1] for tensor, shape in shapes.items() if tensor.endswith(_READS)), 0)
    named = ("conv_in", *(f"blocks.{number}" for number in range(1, 9, 2)))
    hint = tuple(shapes[key][0] for each in named if (key := f"controlnet_cond_embedding.{each}.weight") in shapes)
    return ControlNet(name=name, path=path, width=width, layout=(), hint=hint or PUBLISHED_HINT)


def _layout(config: Mapping[str, Any]) -> tuple[Any, ...]:
    channels, layers = (config.get(name) for name in _LAYOUT)
    return tuple(channels or ()), tuple(layers) if isinstance(layers, list) else layers


def _unet_of(model: Source, info: ModelInfo) -> Mapping[str, Any]:
    """The UNet's config; the family's published one where there is no folder to read it from."""
    found = read_json(model.path / "unet" / "config.json") if model.path is not None else {}
    return found or (_PUBLISHED_XL if info.family == "sdxl" else _PUBLISHED)


def fitted(info: ModelInfo, model: Source, known: Mapping[str, ControlNet]) -> ModelInfo:
    """The model's facts with the ControlNets that fit it; with one it can do one task more."""
    names = tuple(name for name, each in known.items() if each.fits(model, info))
    return replace(info, controlnets=names, tasks=info.tasks | {control.Control.task}) if names else info
