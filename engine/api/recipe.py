"""What decides an image's bytes, as it's stored and written into PNGs. Knows no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides an image's bytes; stored with the image and written into its PNG.

    `request` holds the resolved request as plain JSON values (no None that a default filled, no pictures: an init image
    appears as its sha256). `index` counts the paintings of its job, so `seed` is the request's plus it, also when only
    the best were kept. `versions`, `device`, `dtype`, `mode`, `rows` are what "the same seed, the same bytes" depends
    on besides; `versions` names a graphics card, too. `adapters`: the sha256 of each LoRA, embedding,
    IP-Adapter and ControlNet in use. `model_revision`: of a hub model, the commit that was painted with. `composite`:
    whether a person's picture is part of it. `memory`: how the
    model was kept; in `fp8` or `4 bit` pictures differ a little. `compiled`: what of it is, and how its weights lie.
    """

    task: str
    request: Mapping[str, Any]
    index: int
    seed: int
    model: str
    model_sha256: str
    mode: str
    rows: int
    dtype: str
    device: str
    versions: Mapping[str, str]
    adapters: Mapping[str, str] = field(default_factory=dict)
    model_revision: str = ""
    composite: bool = False
    memory: str = "whole"
    compiled: str = ""
