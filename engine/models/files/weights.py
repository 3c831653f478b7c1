"""Which files of a model hold its weights. Knows no torch."""

from __future__ import annotations

from pathlib import Path

VARIANT = ".fp16"  # in a file's name: the same weights in half precision


def weights_in(path: Path) -> list[Path]:
    """The single file itself, or a folder's weights in order of their path."""
    return [path] if path.is_file() else sorted(path.rglob("*.safetensors"))


def in_use(folder: Path) -> list[Path]:
    """The files of a part's folder that are loaded: the full ones, or half precision where there is nothing else."""
    files = sorted(folder.glob("*.safetensors"))
    return [file for file in files if VARIANT not in file.name] or files
