"""IP-Adapters, unloaded: which file and which CLIP let a model read pictures as it reads words. Knows no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.api.errors import ModelUnloadable
from engine.models import adapters, catalog, facts, whole
from engine.models.catalog import Source

ENCODER = "image_encoder"
# (numbers to the attention, width of the CLIP's embedding), as the original and XLabs name it
_PLAIN = ("image_proj.proj.weight", "ip_adapter_proj_model.proj.weight")
_KNOWN = (_PLAIN[0], "image_proj.latents", "image_proj.proj.3.weight")  # plain, Plus, Full Face; Face ID needs more
_READS = ("to_k_ip.weight", "ip_adapter_double_stream_k_proj.weight")  # (width of a layer, numbers a token)
_SAYS = ("to_v_ip.weight", "ip_adapter_double_stream_v_proj.weight")
_CROSS = "attn2_to_k"  # ends the names of the layers that it stands beside
_OF_FLUX = {"joint_attention_dim": 4096, "num_layers": 19}  # of the published FLUX.1, where no config is at hand


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
    family = catalog.describe(model).family
    reads = [shape[-1] for tensor, shape in shapes.items() if tensor.endswith(_READS)]
    known = _PLAIN if family == "flux" else _KNOWN
    if not reads or not any(tensor in shapes for tensor in known):
        raise ModelUnloadable(name=name, reason=f"{path.name} is not an IP-Adapter that reads a CLIP's embeddings")
    if not _fits(reads, model, family):
        raise ModelUnloadable(name=name, reason=f"it was not made for models like {key}")
    layers = adapters.body_of(model, family).layers
    needed = 2 * (sum(layer.endswith(_CROSS) for layer, _ in layers) or len(reads))
    if (there := len(reads) + sum(tensor.endswith(_SAYS) for tensor in shapes)) < needed:
        what = f"{path.name} has only {there:,} of {needed:,} tensors for the model's attention"
        raise ModelUnloadable(name=name, reason=f"{what}; download it again, or take another copy")
    return IpAdapter(name=name, path=path, encoder=_encoder(name, path, model, shapes))


def _fits(reads: Sequence[int], model: Source, family: str) -> bool:
    """Whether the layers that read pictures, by how many numbers a token has, are those of the model's attention."""
    if family != "flux":
        body = adapters.body_of(model, family)
        return (body.attention, {body.width}) == ("cross", {*reads})
    config = facts.read_json(model.path / "transformer" / "config.json") if model.path is not None else {}
    told = {**_OF_FLUX, **config}
    return [told["joint_attention_dim"]] * told["num_layers"] == [*reads]


def _encoder(name: str, path: Path, model: Source, shapes: adapters.Shapes) -> Path:
    """The CLIP beside the weights, else in the model's folder."""
    folders = [path.parent / ENCODER, *([model.path / ENCODER] if model.path is not None else [])]
    found = next((folder for folder in folders if (folder / "config.json").is_file()), None)
    if found is None or not any(found.glob("*.safetensors")):
        raise ModelUnloadable(name=name, reason=f"there is no folder '{ENCODER}' with safetensors beside {path.name}")
    whole.check(name, found)
    width = facts.read_json(found / "config.json").get("projection_dim")
    sees = {shapes[tensor][-1] for tensor in _PLAIN if tensor in shapes}
    if sees and width is not None and sees != {width}:
        raise ModelUnloadable(name=name, reason=f"it was not made for the CLIP in '{found}'")
    return found
