"""Which files of a model hold its weights. Knows no torch."""

from __future__ import annotations

from pathlib import Path


def weights_in(path: Path) -> list[Path]:
    """The single file itself, or a folder's weights in order of their path."""
    return [path] if path.is_file() else sorted(path.rglob("*.safetensors"))
