"""Which models look at pictures, and what an engine can do with them. Knows no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.api.safety import ImageGate
from engine.backend import Ability
from engine.models.catalog import Source

RANKER = "ranker"  # a model's own CLIP lies in this folder beside its UNet
UNSAFE_LABELS = ("nsfw", "porn", "hentai", "sexy", "unsafe")  # of the usual classifiers


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionOptions:
    """What is configured. Each model is a folder or a hub id; "" = none.

    Attributes:
        captioner: BLIP or another image-to-text model of transformers; without one, a model's own CLIP describes.
        segmenter: CLIPSeg. ranker: a CLIP for `best_of`; without one, a model's own CLIP ranks its pictures.
        safety: "" or "off", diffusers' StableDiffusionSafetyChecker, or an image classifier of transformers.
        unsafe_labels: the classifier's labels that are not to be shown, in any case.
        gate: your own rule, asked before `safety`.
    """

    captioner: str = ""
    segmenter: str = ""
    ranker: str = ""
    safety: str = ""
    unsafe_labels: tuple[str, ...] = UNSAFE_LABELS
    gate: ImageGate | None = None

    @property
    def checks(self) -> bool:
        """Whether a model judges pictures."""
        return self.safety not in ("", "off")


def own_ranker(source: Source) -> Path | None:
    """The CLIP that a model brings along."""
    folder = source.path / RANKER if source.path is not None else None
    return folder if folder is not None and (folder / "config.json").is_file() else None


def abilities(sight: VisionOptions, sources: Mapping[str, Source]) -> frozenset[Ability]:
    """What can be done with these models."""
    own = any(own_ranker(source) for source in sources.values())
    can: dict[Ability, bool] = {
        "describe": bool(sight.captioner) or own,
        "segment": bool(sight.segmenter),
        "rank": bool(sight.ranker) or own,
        "safety": sight.checks or sight.gate is not None,
    }
    return frozenset(ability for ability, there in can.items() if there)
