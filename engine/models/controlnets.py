"""ControlNets and T2I-Adapters, unloaded: which folders and files hold one, what models they fit. Knows no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import mini
from engine.api.errors import ModelUnloadable
from engine.api.model_info import ModelInfo
from engine.models import signatures, whole
from engine.models.adapters import body_of
from engine.models.catalog import Source
from engine.models.derived import control_files
from engine.models.facts import read_json
from engine.models.files.weights import SFT
from engine.tasks import control

PLAIN, UNION, T2I = "ControlNetModel", "ControlNetUnionModel", "T2IAdapter"
# The families whose denoisers a class was made for.
CLASSES: Mapping[str, tuple[str, ...]] = {
    PLAIN: ("sd1", "sdxl"),
    UNION: ("sdxl",),
    "SD3ControlNetModel": ("sd3",),
    "FluxControlNetModel": ("flux",),
    T2I: ("sd1", "sdxl"),
}
T2I_OF_SDXL = "full_adapter_xl"  # in its config's `adapter_type`
# What one that follows several kinds calls them, as its card has it: xinsir's Union and ProMax of SDXL, InstantX's of
# FLUX.1. ProMax's "repaint" is left out, which is inpainting by another name.
MODES: Mapping[str, Mapping[str, int]] = {
    UNION: {"pose": 0, "depth": 1, "soft": 2, "edges": 3, "normal": 4, "segments": 5, "tile": 6},
    "FluxControlNetModel": {"edges": 0, "tile": 1, "depth": 2, "blur": 3, "pose": 4, "grey": 5},
}
# What leads a family's tasks, by diffusers' tables. SD3's for inpainting asks for a ControlNet of its own kind.
LED: Mapping[str, str] = {"sd3": "stable-diffusion-3-controlnet", "flux": "flux-controlnet"}
NOT_LED = {"sd3": frozenset({"inpaint"})}
SEVERAL = frozenset({"sd1", "sdxl", "flux"})  # diffusers 0.42 can't add up what several of SD3 say
WEIGHTS = "diffusion_pytorch_model.safetensors"  # as diffusers saves them; `.index.json` behind it when in parts
_NAME = re.compile(r"[\w.+-]{1,60}")  # what can be typed, and be shown as it is
_HINT = ("controlnet_cond_embedding.conv_in.weight", "input_hint_block.0.weight")  # diffusers' and the original's
PUBLISHED_HINT = (16, 32, 96, 256)
_READS = "attn2.to_k.weight"
_TASKS = "task_embedding"
_LAYOUT = ("block_out_channels", "layers_per_block")  # what it adds must meet the UNet's own, level by level
_PUBLISHED = {"block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2}
_PUBLISHED_XL = {"block_out_channels": [320, 640, 1280], "layers_per_block": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlNet:
    """A ControlNet's folder or single file, and what it says of the models it was made for.

    Attributes:
        made: its class in diffusers. families: whose denoisers it was made for.
        width: of the text that it reads, or of a transformer's attention; 0 = it reads none.
        layout: its levels, as in the config; empty for a single file, whose config is that of the model's own UNet,
            and for a transformer; of a T2I-Adapter, its channels.
        hint: channels of a single file's layers that read the picture.
        kinds: how many kinds of pictures it follows. mode: which of them this name means; None = it knows one only.
    """

    name: str
    path: Path
    made: str = PLAIN
    families: tuple[str, ...]
    width: int = 0
    layout: tuple[Any, ...] = ()
    hint: tuple[int, ...] = ()
    kinds: int = 0
    mode: int | None = None

    def fits(self, model: Source, info: ModelInfo) -> bool:
        """Whether what it says can be added to what the model's denoiser computes."""
        if info.family not in self.families or "txt2img" not in info.tasks:
            return False
        if self.made == T2I:
            channels, _ = _layout(_unet_of(model, info))
            return bool(channels) and self.layout[: len(channels)] == channels
        as_deep = not self.layout or self.layout == _layout(_unet_of(model, info))
        return as_deep and self.width == body_of(model, info.family).width

    @property
    def named(self) -> dict[str, ControlNet]:
        """It by the names that people type: one for each kind that it follows."""
        if not self.kinds:
            return {self.name: self}
        modes = {kind: mode for kind, mode in MODES.get(self.made, {}).items() if mode < self.kinds}
        return {
            f"{kind}-{self.name}": replace(self, name=f"{kind}-{self.name}", mode=mode) for kind, mode in modes.items()
        }


def of_mini(sources: Iterable[Source]) -> dict[str, str]:
    """The ControlNets that come with the embedded model, where it is one of the models."""
    if all(source.path != mini.MODEL_DIR for source in sources):
        return {}
    folders = sorted(path.parent for path in mini.ADAPTERS_DIR.glob(f"*/{WEIGHTS}"))
    return {each.name: str(each) for each in folders if read_json(each / "config.json").get("_class_name") == PLAIN}


def read(name: str, location: str) -> ControlNet:
    """The ControlNet behind a setting. Raises: ModelUnloadable when it can be none."""
    folder = Path(location).expanduser()
    if not _NAME.fullmatch(name):
        raise ModelUnloadable(name=name, reason="a ControlNet's name has letters, digits, '-', '_', '.' and '+' only")
    if folder.is_file():
        return _of_file(name, folder)
    config = read_json(folder / "config.json")
    made = str(config.get("_class_name"))
    if made not in CLASSES:
        raise ModelUnloadable(
            name=name,
            reason=f"'{folder}' is no folder of a ControlNet of SD 1.x, 2.x, SDXL, SD3 or FLUX.1, nor of a T2I-Adapter",
        )
    if not any((folder / f"{WEIGHTS}{end}").is_file() for end in ("", ".index.json")):
        raise ModelUnloadable(name=name, reason=f"'{folder}' has no {WEIGHTS}; pickles may run code, and are not read")
    whole.check(name, folder)
    if config.get("extra_conditioning_channels"):
        raise ModelUnloadable(name=name, reason=control_files.INPAINTS.format("SD3"))
    if made == T2I:
        families = ("sdxl",) if config.get("adapter_type") == T2I_OF_SDXL else ("sd1",)
        return ControlNet(
            name=name, path=folder, made=T2I, families=families, layout=tuple(config.get("channels") or ())
        )
    kinds = int(config.get("num_control_type") or 6) if made == UNION else int(config.get("num_mode") or 0)
    layout = _layout(config) if made in (PLAIN, UNION) else ()
    return ControlNet(
        name=name, path=folder, made=made, families=CLASSES[made], width=_width(config), layout=layout, kinds=kinds
    )


def _width(config: Mapping[str, Any]) -> int:
    width = config.get("cross_attention_dim")
    if isinstance(width, int):
        return width
    return int(config.get("num_attention_heads") or 0) * int(config.get("attention_head_dim") or 0)


def _of_file(name: str, path: Path) -> ControlNet:
    """One file, in diffusers' or the original implementation's names. Raises: ModelUnloadable."""
    if path.suffix not in SFT:
        raise ModelUnloadable(name=name, reason="it must be a .safetensors file; pickles may run code")
    whole.check(name, path)
    shapes = whole.read_header(path).shapes
    if found := control_files.told(shapes):
        return _of_transformer(name, path, found, shapes)
    if any(tensor.startswith(("adapter.body.", "body.0.")) for tensor in shapes):
        raise ModelUnloadable(name=name, reason="it is a T2I-Adapter: give its folder in diffusers' form")
    if not any(tensor.endswith(_HINT) for tensor in shapes):
        raise ModelUnloadable(name=name, reason=f"{path.name} is no ControlNet of SD 1.x, SD 2.x or SDXL")
    width = next((shape[1] for tensor, shape in shapes.items() if tensor.endswith(_READS)), 0)
    named = ("conv_in", *(f"blocks.{number}" for number in range(1, 9, 2)))
    hint = tuple(shapes[key][0] for each in named if (key := f"controlnet_cond_embedding.{each}.weight") in shapes)
    kinds = shapes[_TASKS][0] if _TASKS in shapes else 0
    if not kinds and any(_TASKS in tensor for tensor in shapes):
        raise ModelUnloadable(name=name, reason="it is a ControlNet Union in names that diffusers can't read")
    made = UNION if kinds else PLAIN
    return ControlNet(
        name=name,
        path=path,
        made=made,
        families=CLASSES[made],
        width=width,
        hint=hint or PUBLISHED_HINT,
        kinds=kinds,
    )


def _of_transformer(name: str, path: Path, made: str, shapes: whole.Shapes) -> ControlNet:
    """One of SD3 or FLUX.1. Raises: ModelUnloadable, where it is something else."""
    if made not in CLASSES:
        raise ModelUnloadable(name=name, reason=made)
    width, kinds = control_files.width(shapes), control_files.kinds(shapes)
    return ControlNet(name=name, path=path, made=made, families=CLASSES[made], width=width, kinds=kinds)


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
    if not names:
        return info
    table = LED.get(info.family, "stable-diffusion-controlnet")
    led = (signatures.led_tasks(table) & info.tasks) - NOT_LED.get(info.family, frozenset())
    return replace(
        info,
        controlnets=names,
        control_tasks=led,
        several_controls=info.family in SEVERAL,
        tasks=info.tasks | {control.Control.task},
    )
