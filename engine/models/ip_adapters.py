"""IP-Adapters, unloaded: which file and which CLIP let a model read pictures as it reads words. Knows no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.api.errors import ModelUnloadable
from engine.models import adapters, catalog, facts, whole
from engine.models.catalog import Source

ENCODER = "image_encoder"
_PLAIN = "image_proj.proj.weight"  # (numbers to the attention, width of the CLIP's embedding)
_KNOWN = (
    _PLAIN,
    "image_proj.latents",
    "image_proj.proj.3.weight",
)  # plain, Plus, Full Face; Face ID needs more than CLIP
_READS = "to_k_ip.weight"  # (width of a layer, numbers a token)


@dataclass(frozen=True, slots=True, kw_only=True)
class IpAdapter:
    """An IP-Adapter's weights, and the folder of the CLIP whose embeddings it was trained on."""

    name: str
    path: Path
    encoder: Path


def read(key: str, location: str, sources: Mapping[str, Source]) -> IpAdapter:
    """The IP-Adapter of the model `key`. Raises: ModelUnloadable when it can be none."""
    if key not in sources:
        raise ModelUnloadable(name=key, reason=f"an IP-Adapter needs one of the models, which are {', '.join(sources)}")
    model, path = sources[key], adapters.weights_file(f"the IP-Adapter of {key}", Path(location).expanduser())
    name, shapes = path.stem, whole.read_header(path).shapes
    widths = {shape[-1] for tensor, shape in shapes.items() if tensor.endswith(_READS)}
    if not widths or not any(tensor in shapes for tensor in _KNOWN):
        raise ModelUnloadable(name=name, reason=f"{path.name} is not an IP-Adapter that reads a CLIP's embeddings")
    body = adapters.body_of(model, catalog.describe(model).family)
    if (body.attention, {body.width}) != ("cross", widths):
        raise ModelUnloadable(name=name, reason=f"it was not made for models like {key}")
    return IpAdapter(name=name, path=path, encoder=_encoder(name, path, model, shapes))


def _encoder(name: str, path: Path, model: Source, shapes: adapters.Shapes) -> Path:
    """The CLIP beside the weights, else in the model's folder."""
    folders = [path.parent / ENCODER, *([model.path / ENCODER] if model.path is not None else [])]
    found = next((folder for folder in folders if (folder / "config.json").is_file()), None)
    if found is None or not any(found.glob("*.safetensors")):
        raise ModelUnloadable(name=name, reason=f"there is no folder '{ENCODER}' with safetensors beside {path.name}")
    whole.check(name, found)
    width = facts.read_json(found / "config.json").get("projection_dim")
    if _PLAIN in shapes and width is not None and shapes[_PLAIN][-1] != width:
        raise ModelUnloadable(name=name, reason=f"it was not made for the CLIP in '{found}'")
    return found
