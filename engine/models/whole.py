"""Whether what is configured can be loaded, by small files, headers and sizes. Loads no weights, knows no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.api.errors import ModelUnloadable
from engine.models import adapters, catalog, controlnets, ip_adapters
from engine.models.adapters import Kind
from engine.models.catalog import Source
from engine.models.checkpoints import MAX_HEADER_BYTES
from engine.models.facts import read_json

WEIGHTLESS = ("Scheduler", "Tokenizer", "TokenizerFast", "Processor", "FeatureExtractor", "Extractor")
PICKLES = (".bin", ".ckpt", ".pt", ".pth")
LFS = b"version https://git-lfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is known of one configured thing: `problem` "" = it can be loaded; `later` = it is not on this disk yet."""

    what: str
    location: str
    problem: str = ""
    later: bool = False


def look(
    models: Mapping[str, str],
    *,
    loras: Mapping[str, str],
    embeddings: Mapping[str, str],
    ip_adapters: Mapping[str, str],
    controlnets: Mapping[str, str],
    upscaler: str,
    vision: Mapping[str, str],
) -> Iterator[Finding]:
    """Look at everything that is configured, each by its name; nothing stops at the first that is bad."""
    for key, location in models.items():
        yield _found(f"model {key}", location, lambda key=key, at=location: _model(key, at))
    kinds: Mapping[Kind, Mapping[str, str]] = {"lora": loras, "embedding": embeddings}
    for kind, named in kinds.items():
        label = "LoRA" if kind == "lora" else kind
        for name, location in named.items():
            yield _found(f"{label} {name}", location, lambda n=name, at=location, kind=kind: _adapter(kind, n, at))
    for name, location in controlnets.items():
        yield _found(f"ControlNet {name}", location, lambda n=name, at=location: _controlnet(n, at))
    for key, location in ip_adapters.items():
        yield _found(f"IP-Adapter of {key}", location, lambda k=key, at=location: _ip_adapter(k, at, models))
    if upscaler:
        yield _found("upscaler", upscaler, lambda: _weights(catalog.describe_upscaler(upscaler)[0]))
    for name, location in vision.items():
        yield _found(name, location, lambda n=name, at=location: _weights(catalog.source(n, at)))


def _found(what: str, location: str, check: Any) -> Finding:
    """The check's answer: a problem, "" for none, or None for what the hub has and this disk has not."""
    try:
        problem = check()
    except ModelUnloadable as error:
        problem = str(error.facts.get("reason", error))
    except (OSError, ValueError) as error:
        problem = f"its files can't be read ({error})"
    return Finding(what=what, location=location, problem=problem or "", later=problem is None)


def _model(key: str, location: str) -> str | None:
    source = catalog.source(key, location)
    catalog.describe(source)
    return _weights(source)


def _adapter(kind: Kind, name: str, location: str) -> str:
    (adapter,) = adapters.read(kind, {name: location}).values()
    return of_file(adapter.path)


def _controlnet(name: str, location: str) -> str:
    (found,) = controlnets.read({name: location}).values()
    return of_folder(found.path)


def _ip_adapter(key: str, location: str, models: Mapping[str, str]) -> str:
    sources = {name: catalog.source(name, where) for name, where in models.items()}
    (found,) = ip_adapters.read({key: location}, sources).values()
    return of_file(found.path) or of_folder(found.encoder)


def _weights(source: Source) -> str | None:
    """None for a hub id whose files are loaded when they are first needed."""
    path = source.path
    if path is None:
        return None
    if path.is_file():
        return of_file(path)
    if index := read_json(path / "model_index.json"):
        return of_pipeline(path, index)
    inside = path / "safety_checker"  # as Stable Diffusion's checkpoints bring one
    return of_folder(inside if inside.is_dir() and not any(path.glob("*.safetensors")) else path)


# ---------------------------------------------------------------- files
def of_pipeline(folder: Path, index: Mapping[str, Any]) -> str:
    """What is wrong with a diffusers folder; "" = each of its parts is there and whole."""
    for name, part in index.items():
        if not isinstance(part, list) or len(part) != 2 or not part[1] or str(part[1]).endswith(WEIGHTLESS):
            continue
        if not (folder / name).is_dir():
            return f"its part {name} is missing"
        if problem := of_folder(folder / name):
            return f"in {name}, {problem}"
    return ""


def of_folder(folder: Path) -> str:
    """What is wrong with a folder of weights; "" = they are there and whole."""
    if not folder.is_dir():
        return f"there is no folder '{folder}'"
    named: set[str] = set()
    for index in sorted(folder.glob("*.safetensors.index.json")):
        named |= set(read_json(index).get("weight_map", {}).values())
    if missing := sorted(name for name in named if not (folder / name).is_file()):
        return f"{missing[0]} is missing, which its index names"
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickles = any(file.suffix in PICKLES for file in folder.iterdir())
        return (
            "there are pickles only, which may run code; .safetensors is needed" if pickles else "there are no weights"
        )
    return next((problem for problem in map(of_file, files) if problem), "")


def of_file(path: Path) -> str:
    """What is wrong with a safetensors file, told by its header and its size; "" = it is whole."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = int.from_bytes(head, "little")
        if head == LFS[:8]:
            return f"{path.name} is a pointer of Git LFS, not the file itself; fetch it with: git lfs pull"
        if len(head) < 8 or not 0 < length < MAX_HEADER_BYTES or 8 + length > size:
            return f"{path.name} is no safetensors file, or only its beginning"
        try:
            header = json.loads(file.read(length))
            ends = [int(facts["data_offsets"][1]) for name, facts in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return f"the header of {path.name} can't be read"
    whole = 8 + length + max(ends, default=0)
    return "" if size == whole else f"{path.name} is not whole: it has {size:,} of {whole:,} bytes"
