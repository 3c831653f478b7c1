"""The models and LoRAs that are there without a setting: what lies in two folders, and a list. Knows no torch.

In Easel's data folder: `models/` and `loras/` hold files and folders by their names, `models.json` names others.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from engine.models.catalog import WEIGHTS, key_of
from engine.models.facts import MODULAR

LIST, MODELS, LORAS = "models.json", "models", "loras"
INDEXES = ("model_index.json", MODULAR)


class Library:
    """What is in a folder, whenever it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def models(self) -> dict[str, str]:
        """Locations by name: the list's, then what lies in the folder."""
        found = [path for path in _entries(self.folder / MODELS) if path.is_file() or _is_model(path)]
        return {key_of(str(path)): str(path) for path in found if not _is_beside(path)} | self.listed()

    def loras(self) -> dict[str, str]:
        """Files by name."""
        found = [path for path in _entries(self.folder / LORAS) if path.is_file()]
        return {key_of(str(path)): str(path) for path in found}

    def listed(self) -> dict[str, str]:
        """What `models.json` names; nothing while it can't be read."""
        try:
            value = json.loads((self.folder / LIST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(name): str(at) for name, at in value.items()} if isinstance(value, dict) else {}

    def add(self, name: str, location: str) -> None:
        """Name a model; another of that name is replaced."""
        self._write(self.listed() | {name: location})

    def remove(self, name: str) -> bool:
        """Take a name off the list. Returns whether it was on it."""
        known = self.listed()
        was_there = known.pop(name, None) is not None
        if was_there:
            self._write(known)
        return was_there

    def stamp(self) -> tuple[object, ...]:
        """Another one whenever a file has come, gone, grown or been replaced."""
        files = [self.folder / LIST, *_entries(self.folder / MODELS), *_entries(self.folder / LORAS)]
        return tuple((path.name, stat.st_size, stat.st_mtime_ns) for path in files if (stat := _stat(path)))

    def _write(self, listed: dict[str, str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / f"{LIST}.tmp"
        fresh.write_text(json.dumps(listed, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        fresh.replace(self.folder / LIST)


def _entries(folder: Path) -> list[Path]:
    """The weights and folders inside, by name; hidden ones and other files are none."""
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return []
    return [path for path in found if path.suffix.casefold() in WEIGHTS or (path.is_dir() and path.name[0] != ".")]


def _is_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in INDEXES)


def _is_beside(path: Path) -> bool:
    """Whether it only goes with a file of that name: a VAE, or its configs."""
    if path.is_dir():
        return any(path.with_name(path.name + end).is_file() for end in WEIGHTS)
    return path.stem.endswith(".vae")


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
