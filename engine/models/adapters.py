"""LoRAs and textual inversions, unloaded: what they are, and which models they fit. Knows no torch.

Told by shapes, never by names of files: a LoRA multiplies the model's own matrices, so its sides must be theirs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from engine import mini
from engine.api.errors import ModelUnloadable
from engine.api.model_info import About, LoraDefaults, ModelInfo
from engine.models import families, own_defaults, whole
from engine.models.catalog import Source
from engine.models.facts import read_json
from engine.models.files import lora_layers, modelspec
from engine.models.files.lora_layers import ENOUGH, SOME, Layers
from engine.models.files.weights import SFT

log = logging.getLogger(__name__)

Shapes = Mapping[str, tuple[int, ...]]
Kind = Literal["lora", "embedding"]
LORA_FILE = "pytorch_lora_weights.safetensors"  # as diffusers saves one into a folder
_NAMELESS = ("pytorch_lora_weights", "diffusion_pytorch_model", "adapter_model")  # their folder says what they are
_NAME = re.compile(r"[^\s<>:,()\[\]{}|\\]{1,80}")  # what can stand in a prompt

# The layers whose widths tell models apart, as diffusers, peft and kohya name them.
_CROSS = re.compile(r"attn2[._](?:processor\.)?to_[kv]$")
_JOINT = re.compile(r"attn[._](?:to_[qkv]|qkv)$")

# The same widths where a model's own files tell them by their tensors.
_CROSS_OF_MODEL = "attn2.to_k.weight"
_JOINT_OF_MODEL = ("joint_blocks.0.x_block.attn.qkv.weight", "double_blocks.0.img_attn.qkv.weight")
# From the models' published configs, for those that are not downloaded yet: denoiser, its width, widths of the CLIPs.
_PUBLISHED = {
    "sd1": ("cross", 768, (768,)),
    "sdxl": ("cross", 2048, (768, 1280)),
    "sd3": ("joint", 1536, ()),
    "flux": ("joint", 3072, ()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What adapters have to fit.

    Attributes:
        attention: `cross` (a UNet reads the text) or `joint` (a transformer reads both); "" where none fits.
        width: of what its attention reads, in numbers a token. clips: widths of the text encoders.
        layers: of its denoiser, where its weights are here.
    """

    attention: str = ""
    width: int = 0
    clips: tuple[int, ...] = ()
    layers: Layers = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A file that changes a model: a LoRA, or vectors for a word. `body`: what it was made for."""

    name: str
    kind: Kind
    path: Path
    body: Body
    layers: Layers = frozenset()
    defaults: LoraDefaults | None = None
    about: About | None = None

    def fits(self, model: Body) -> bool:
        """Whether the model is like the one it was made for: it has its layers, or where that is unknown, its width."""
        if self.kind == "embedding":
            return bool(model.clips) and self.body.clips == model.clips
        as_wide = (self.body.attention, self.body.width) == (model.attention, model.width)
        share = lora_layers.share_in(model.layers, self.layers)
        if share:
            return share >= SOME and (as_wide or not (model.width and self.body.width))
        return bool(model.width) and as_wide


def of_mini(kind: Kind, sources: Iterable[Source]) -> dict[str, str]:
    """The adapters of a kind that come with the embedded model, where it is one of the models."""
    if all(source.path != mini.MODEL_DIR for source in sources):
        return {}
    folders = [folder for folder in sorted(mini.ADAPTERS_DIR.iterdir()) if folder.is_dir()]
    files = [folder / (LORA_FILE if kind == "lora" else f"{folder.name}.safetensors") for folder in folders]
    return {file.parent.name: str(file) for file in files if file.is_file()}


def read(kind: Kind, name: str, location: str) -> Adapter:
    """The adapter behind a setting. Raises: ModelUnloadable when it can be none."""
    if not _NAME.fullmatch(name):
        raise ModelUnloadable(name=name, reason="such a name cannot stand in a prompt; use letters, digits and -")
    path = weights_file(name, Path(location).expanduser())
    header = whole.read_header(path)
    shapes, said = header.shapes, modelspec.about(name, header.metadata)
    body = _body_of_lora(shapes) if kind == "lora" else _body_of_embedding(shapes)
    layers = lora_layers.of_lora(shapes) if kind == "lora" else frozenset()
    if kind == "lora" and (other := lora_layers.other_kind(shapes)):
        raise ModelUnloadable(name=name, reason=f"{path.name} is {other}; look for a plain LoRA of it")
    if kind == "lora" and (lonely := lora_layers.halves(shapes)):
        what = f"of {lonely:,} of the {len(shapes):,} tensors in {path.name} the other half is missing"
        raise ModelUnloadable(name=name, reason=f"{what}; download it again, or take another copy")
    if body == Body() and not layers:
        what = "a LoRA of a model that is known here" if kind == "lora" else "a textual inversion"
        raise ModelUnloadable(name=name, reason=f"{path.name} is not {what}")
    return Adapter(
        name=name, kind=kind, path=path, body=body, layers=layers, defaults=_defaults(name, path), about=said
    )


def _defaults(name: str, path: Path) -> LoraDefaults | None:
    """What a JSON file beside a LoRA says of how to sample with it, else what is published of one of just that name."""
    own, _ = own_defaults.read(_said_in(path), own_defaults.SAMPLING)
    stem = path.parent.name if path.stem in _NAMELESS else path.stem.removesuffix("-bf16")
    facts = own or families.FAST_LORAS.get(stem)
    return LoraDefaults(name=name, **facts) if facts else None


def _said_in(path: Path) -> Path:
    beside = path.with_suffix(".json")
    return beside if beside.is_file() else path.parent / own_defaults.FILE


def owners_mistakes(adapter: Adapter) -> str:
    """What in the JSON file beside a LoRA can't be used, and is passed over; "" where all can."""
    return own_defaults.read(_said_in(adapter.path), own_defaults.SAMPLING)[1] if adapter.kind == "lora" else ""


def weights_file(name: str, path: Path) -> Path:
    """The one file that holds the weights. Raises: ModelUnloadable."""
    if path.is_dir():
        files = [path / LORA_FILE] if (path / LORA_FILE).is_file() else sorted(path.glob("*.safetensors"))
        if len(files) != 1:
            raise ModelUnloadable(name=name, reason=f"the folder '{path}' has {len(files)} .safetensors files, not one")
        path = files[0]
    if path.suffix not in SFT:
        raise ModelUnloadable(name=name, reason="it must be a .safetensors file; pickles may run code")
    if not path.is_file():
        raise ModelUnloadable(name=name, reason=f"there is no file '{path}'")
    whole.check(name, path)
    return path


def _body_of_lora(shapes: Shapes) -> Body:
    for attention, pattern in (("cross", _CROSS), ("joint", _JOINT)):
        widths = {width for name, width in lora_layers.reads(shapes).items() if pattern.search(name)}
        if widths:
            return Body(attention=attention, width=max(widths))
    return Body()


def _body_of_embedding(shapes: Shapes) -> Body:
    if {"clip_l", "clip_g"} <= shapes.keys():
        return Body(clips=(shapes["clip_l"][-1], shapes["clip_g"][-1]))
    vectors = [shape for shape in shapes.values() if 1 <= len(shape) <= 2]
    return Body(clips=(vectors[0][-1],)) if len(shapes) == len(vectors) == 1 else Body()


def body_of(model: Source, family: str) -> Body:
    """What adapters of a model must fit, from its configs or its tensors' shapes."""
    path = model.path
    attention, width, clips = _PUBLISHED.get(family, ("", 0, ()))
    if path is None:
        known = lora_layers.of_flux1() if family == "flux" else frozenset()
        return Body(attention=attention, width=width, clips=clips, layers=known)
    if path.is_file():
        shapes = whole.read_header(path).shapes
        width = (_width_in(shapes) or width) if width else 0
        clips = (width,) if family == "sd1" else clips  # SD 2.x: 1024
        return Body(attention=attention, width=width, clips=clips, layers=lora_layers.of_model(shapes))
    return Body(
        attention=attention,
        width=_width_of(path) if width else 0,
        clips=_clips_of(path) if clips else (),
        layers=_layers_of(path),
    )


def _layers_of(folder: Path) -> Layers:
    """The layers of a diffusers folder's denoiser, by its files' headers."""
    files = (file for part in ("unet", "transformer") for file in sorted((folder / part).glob("*.safetensors")))
    headers = (whole.read_header(file).shapes for file in files)
    return lora_layers.of_model({name: shape for shapes in headers for name, shape in shapes.items()})


def _width_in(shapes: Shapes) -> int:
    return next((s[1] for n, s in shapes.items() if n.endswith((_CROSS_OF_MODEL, *_JOINT_OF_MODEL))), 0)


def _width_of(folder: Path) -> int:
    unet, transformer = (read_json(folder / part / "config.json") for part in ("unet", "transformer"))
    width = unet.get("cross_attention_dim")
    if isinstance(width, int):
        return width
    return int(transformer.get("num_attention_heads", 0)) * int(transformer.get("attention_head_dim", 0))


def _clips_of(folder: Path) -> tuple[int, ...]:
    configs = (read_json(folder / part / "config.json") for part in ("text_encoder", "text_encoder_2"))
    return tuple(int(config["hidden_size"]) for config in configs if "hidden_size" in config)


def fitted(info: ModelInfo, model: Source, adapters: Mapping[Kind, Mapping[str, Adapter]]) -> ModelInfo:
    """The model's facts with the adapters that fit it. Says in the log of which LoRAs a part will do nothing.

    None fits Mini's editor: it has the layers of Mini, for which they were made, but has since learned another task.
    """
    if not any(adapters.values()) or model.path == mini.EDITOR_DIR:
        return info
    body = body_of(model, info.family)
    loras, embeddings = (
        tuple(name for name, adapter in adapters[kind].items() if adapter.fits(body)) for kind in ("lora", "embedding")
    )
    shares = [(name, lora_layers.share_in(body.layers, adapters["lora"][name].layers)) for name in loras]
    partial = tuple((name, round(100 * share)) for name, share in shares if 0 < share < ENOUGH)
    for name, percent in partial:
        log.warning("of the LoRA '%s' only %d %% fits %s; the rest does nothing", name, percent, info.key)
    defaults = tuple(each for name in loras if (each := adapters["lora"][name].defaults) is not None)
    said = tuple(about for name in loras if (about := adapters["lora"][name].about) is not None)
    facts: dict[str, Any] = {"lora_shares": partial, "lora_defaults": defaults, "about": (*info.about, *said)}
    return replace(info, loras=loras, embeddings=embeddings, **facts)
