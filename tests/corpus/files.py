"""Reading and writing the corpus's files. Knows nothing of Easel."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

CORPORA = sorted(Path(__file__).parent.glob("v*_*_*"))


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_lines(path: Path, value: list[Any] | dict[str, Any]) -> None:
    """JSON with one entry a line, so that a difference shows where it is."""

    def line(entry: Any) -> str:
        return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))

    if isinstance(value, dict):
        text = "{\n" + ",\n".join(f"{line(str(name))}: {line(entry)}" for name, entry in value.items()) + "\n}\n"
    else:
        text = "[\n" + ",\n".join(map(line, value)) + "\n]\n"
    path.write_text(text, encoding="utf-8")


def pictures(folder: Path) -> Mapping[str, Image.Image]:
    """The stored pictures by the sha256 that is their name."""
    return {file.stem: Image.open(io.BytesIO(file.read_bytes())).convert("RGB") for file in folder.glob("*.png")}


def copy_of(folder: Path, target: Path) -> Path:
    """A data directory that may be changed."""
    shutil.copytree(folder, target)
    return target


def seeds(folder: Path) -> set[int]:
    """Every seed in the recorded jobs: those that chance did not draw later."""

    def inside(value: Any) -> Iterator[int]:
        if isinstance(value, dict):
            yield from [value["seed"]] if "seed" in value else []
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from inside(part)

    return set(inside(read(folder / "jobs.json")))
