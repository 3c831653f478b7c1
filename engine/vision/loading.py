"""Load the models that look at pictures, from folders: safetensors only, never code of theirs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image

from engine.models.files import parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A model with what turns pictures and words into its numbers. Weights stay float32: they are read once a picture,
    not once a step."""

    model: Any
    pictures: Any
    words: Any
    device: torch.device

    def see(self, images: list[Image.Image]) -> torch.Tensor:
        """RGB pictures as the model's input: (B, 3, side, side)."""
        seen = self.pictures(images=[image.convert("RGB") for image in images], return_tensors="pt")
        return seen["pixel_values"].to(self.device)  # type: ignore[no-any-return]

    def read(self, texts: list[str]) -> dict[str, Any]:
        """Texts as the model's input, cut to what it can read."""
        return dict(self.words(texts, padding=True, truncation=True, return_tensors="pt").to(self.device))


def reader(model_class: Any, location: str, device: torch.device, *, words: bool = True) -> Reader:
    """The model of a folder, with its processors."""
    where = {"local_files_only": True}
    model = parts.load(Path(location).name, model_class, location, dtype=torch.float32)
    return Reader(
        model=model.eval().to(device),
        pictures=transformers.AutoImageProcessor.from_pretrained(location, **where),
        words=transformers.AutoTokenizer.from_pretrained(location, **where) if words else None,
        device=device,
    )


def config_of(location: str) -> dict[str, Any]:
    """A model's config.json; empty when there is none."""
    path = Path(location).expanduser() / "config.json"
    value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return value if isinstance(value, dict) else {}
