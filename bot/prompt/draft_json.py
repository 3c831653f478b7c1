"""Drafts as JSON: what buttons offer to paint outlives the process. Pure."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from bot.prompt.parser import Draft

RENAMED = {
    "ar": "aspect_ratio",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "tile": "tiling",
    "vary": "variations",
}  # fields of drafts that older versions kept


def to_json(draft: Draft) -> dict[str, Any]:
    """What was said."""
    return {name: value for name, value in asdict(draft).items() if value is not None}


def from_json(value: dict[str, Any]) -> Draft:
    """A draft, also one of an older version, whose further fields are dropped."""
    value = {RENAMED.get(name, name): part for name, part in value.items()}
    known = {field.name for field in fields(Draft)}
    plain: dict[str, Any] = {
        name: tuple(part) if isinstance(part, list) else part for name, part in value.items() if name in known
    }
    if plain.get("variations"):
        plain["variations"] = tuple((int(seed), float(strength)) for seed, strength in plain["variations"])
    return Draft(**plain)
