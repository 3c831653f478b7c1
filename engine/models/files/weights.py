"""Which files of a model hold its weights. Knows no torch."""

from __future__ import annotations

from pathlib import Path

NCNN = ".param"  # ncnn's graphs; their weights lie beside them
VARIANT = ".fp16"  # in a file's name: the same weights in half precision


def weights_in(path: Path) -> list[Path]:
    """The single file itself, with its weights where they are in another, or a folder's in order of their path."""
    if path.suffix == NCNN:
        return [path, path.with_suffix(".bin")]
    return [path] if path.is_file() else sorted(path.rglob("*.safetensors"))


def in_use(folder: Path) -> list[Path]:
    """The files of a part's folder that are loaded: the full ones, or half precision where there is nothing else."""
    files = sorted(folder.glob("*.safetensors"))
    return [file for file in files if VARIANT not in file.name] or files
