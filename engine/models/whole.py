"""Whether weights on this disk are whole, by small files, headers and sizes. Loads none of them, knows no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.api.errors import ModelUnloadable
from engine.models import signatures
from engine.models.facts import CHECKER, MODULAR, read_json
from engine.models.files import gguf_header, quantised

Shapes = Mapping[str, tuple[int, ...]]
MAX_HEADER_BYTES = 100 << 20  # as the safetensors library has it
LENGTH_BYTES = 8
PICKLES = (".bin", ".ckpt", ".pt", ".pth")
NEEDED = ("unet", "transformer", "vae", "scheduler")
BYTES = "ByT5"  # a tokenizer of letters, which needs no words
# What lies beside a tokenizer's words.
WORDLESS = frozenset(
    {
        *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "generation_config.json"),
        *("chat_template.json", "chat_template.jinja", "README.md", ".gitattributes"),
    }
)
PLAIN = frozenset({"F64", "F32", "F16", "BF16"})  # types of numbers that a module computes with
LFS = b"version https://git-lfs"
# What a file begins with that is none -> what it is, and what to do.
OTHER_KINDS = {
    LFS: "a pointer of Git LFS, not the file itself; fetch it with: git lfs pull",
    b"pk\x03\x04": "a pickle, whatever it's called, which may run code; use .safetensors",
    b"<!doctype": "a web page, not a model; download it again, signed in where its site asks for that",
    b"<html": "a web page, not a model; download it again, signed in where its site asks for that",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What stands before a safetensors file's weights: its tensors' shapes by name, and its metadata.

    Attributes:
        packed: bytes by name of those whose type is no plain number: in fewer bits, or several in one.
        file_bytes: how long the whole file must be; 0 = it can't be read. gguf: it is one of llama.cpp's.
        strange: some of its tensors are of a type that nobody here can read.
    """

    shapes: Shapes = field(default_factory=dict)
    packed: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    file_bytes: int = 0
    gguf: bool = False
    strange: bool = False


def read_header(path: Path) -> Header:
    """The header of a safetensors or GGUF file; empty when it is none, whatever else it is. Raises: OSError."""
    with path.open("rb") as file:
        start = file.read(LENGTH_BYTES)
        size = int.from_bytes(start, "little")
        if start.startswith(gguf_header.MAGIC):
            file.seek(0)
            known = gguf_header.read(file)
            return Header(
                shapes=known.shapes,
                packed=known.packed,
                metadata=known.metadata,
                file_bytes=known.file_bytes,
                gguf=True,
                strange=known.strange,
            )
        if not 0 < size < MAX_HEADER_BYTES:
            return Header()
        try:
            tensors = json.loads(file.read(size))
        except (ValueError, RecursionError):
            return Header()
    metadata = (tensors.pop("__metadata__", None) or {}) if isinstance(tensors, dict) else {}
    if not isinstance(tensors, dict) or not all(_is_tensor(facts) for facts in tensors.values()):
        return Header()
    return Header(
        shapes={name: tuple(facts["shape"]) for name, facts in tensors.items()},
        packed={
            name: facts["data_offsets"][1] - facts["data_offsets"][0]
            for name, facts in tensors.items()
            if facts.get("dtype") not in PLAIN
        },
        metadata=metadata if isinstance(metadata, dict) else {},
        file_bytes=LENGTH_BYTES + size + max((facts["data_offsets"][1] for facts in tensors.values()), default=0),
    )


def _is_tensor(facts: Any) -> bool:
    if not isinstance(facts, dict):
        return False
    shape, offsets = facts.get("shape"), facts.get("data_offsets")
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
        return False
    return all(isinstance(size, int) and size >= 0 for size in (*shape, *offsets))


def check(name: str, path: Path) -> None:
    """Look at a safetensors file, or a folder of some. Raises: ModelUnloadable when something of it is missing."""
    if problem := of_file(path) if path.is_file() else of_any_folder(path):
        raise ModelUnloadable(name=name, reason=problem)


def of_any_folder(folder: Path) -> str:
    """What is wrong with a folder: of a pipeline, of one model, or one with a safety checker inside."""
    if index := read_json(folder / "model_index.json"):
        return of_pipeline(folder, index)
    if named := read_json(folder / MODULAR):
        parts = {name: kind for name, kind in named.items() if name[0] != "_" and isinstance(kind, list)}
        odd = (problem for name, kind in parts.items() if (problem := _of_modular_entry(name, kind)))
        return next(odd, "") or _of_parts(folder, {name: "" for name in named if (folder / name).is_dir()})
    inside = folder / CHECKER  # as Stable Diffusion's checkpoints bring one
    return of_folder(inside if inside.is_dir() and not any(folder.glob("*.safetensors")) else folder)


def _of_modular_entry(name: str, kind: list[Any]) -> str:
    """What is wrong with what a modular index says of a part: its library and class, and again where it comes from."""
    spec = kind[2] if len(kind) == 3 else None
    if not isinstance(spec, dict) or "type_hint" not in spec:
        return f"its {MODULAR} doesn't say what {name} is"
    library = spec["type_hint"][0] if _is_pair(spec["type_hint"]) else "diffusers"
    return "" if signatures.is_library(library.partition(".")[0]) else _strange(name, library)


def _strange(name: str, library: str) -> str:
    return f"its part {name} is of '{library}', which isn't diffusers'; code that comes with a model is never run"


def of_pipeline(folder: Path, index: Mapping[str, Any]) -> str:
    """What is wrong with a diffusers folder; "" = each of its parts is there and whole."""
    named = {name: kind for name, kind in index.items() if name[0] != "_" and name != CHECKER}
    parts = {name: kind for name, kind in named.items() if _names_a_part(folder / name, kind)}
    for name, kind in parts.items():
        if not _is_pair(kind):
            return f'its model_index.json must say what {name} is, as in ["diffusers", "AutoencoderKL"]'
        if not signatures.is_library(kind[0]):
            return (
                f"its part {name} is of '{kind[0]}', which isn't diffusers'; code that comes with a model is never run"
            )
    known = signatures.of(signatures.plain(str(index.get("_class_name", ""))))
    needed = (each for each in NEEDED if known and each in known.components - known.optional)
    if nameless := next((each for each in needed if each not in parts), ""):
        return f"its model_index.json names no {nameless}"
    return _of_parts(folder, {name: kind[1] for name, kind in parts.items()})


def _names_a_part(place: Path, kind: Any) -> bool:
    """Whether an entry of the index is a part, or meant to be one; the others are settings, or parts that it hasn't."""
    nothing = kind in (None, [], [None, None])
    return not nothing and (place.is_dir() or _is_pair(kind))


def _is_pair(kind: Any) -> bool:
    return isinstance(kind, list) and len(kind) == 2 and all(isinstance(each, str) for each in kind)


def _of_parts(folder: Path, classes: Mapping[str, str]) -> str:
    """What is wrong with the parts by these names and, where they are known, classes."""
    return next((problem for name, kind in classes.items() if (problem := _of_part(folder / name, kind))), "")


def _of_part(part: Path, class_name: str) -> str:
    if not part.is_dir():
        return f"its part {part.name} is missing"
    files = {file.name for file in part.iterdir()}
    if not files:
        return f"its part {part.name} is empty"
    if "config.json" in files:  # tokenizers, schedulers and processors call theirs otherwise
        problem = quantised.missing_package(read_json(part / "config.json")) or of_folder(part)
        return f"in {part.name}, {problem}" if problem else ""
    if any(name.endswith(".safetensors") for name in files):
        return f"its part {part.name} has no config.json"
    if part.name.endswith("scheduler") and "scheduler_config.json" not in files:
        return f"its part {part.name} has no scheduler_config.json"
    reads = part.name.startswith("tokenizer") or "Tokenizer" in class_name
    if reads and not class_name.startswith(BYTES) and not files - WORDLESS:
        return f"its part {part.name} has no vocabulary"
    if "CLIP" in class_name and "vocab.json" in files and not files & {"merges.txt", "tokenizer.json"}:
        return f"its part {part.name} has no merges.txt"
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


def of_other_kind(path: Path) -> str:
    """What a file begins as, whatever it is called, where that is nothing with tensors; "" for all else."""
    with path.open("rb") as file:
        start = file.read(len(LFS))
    return next((what for begins, what in OTHER_KINDS.items() if start.lstrip().lower().startswith(begins)), "")


def of_file(path: Path) -> str:
    """What is wrong with a safetensors file, told by its header and its size; "" = it is whole."""
    if foreign := of_other_kind(path):
        return f"{path.name} is {foreign}"
    whole, size = read_header(path).file_bytes, path.stat().st_size
    if not whole:
        return f"{path.name} is no {'GGUF' if path.suffix == '.gguf' else 'safetensors'} file, or only its beginning"
    if size != whole:
        return f"{path.name} is not whole: it has {size:,} of {whole:,} bytes"
    return ""
