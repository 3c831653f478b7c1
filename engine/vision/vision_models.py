"""Everything that looks at pictures, loaded when first needed. Lives in the engine's thread."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from PIL import Image

from engine.api import safety as picture_safety
from engine.api.errors import NO_CAPTIONER, NO_RANKER, NO_SEGMENTER, InvalidRequest
from engine.api.safety import Verdict
from engine.device.failures import loaded
from engine.diffusion.prompts import plain_text
from engine.models.catalog import Source
from engine.tasks.lora_tags import without
from engine.vision import captioner, ranker, safety_checker, segmenter
from engine.vision.captioner import Vocabulary
from engine.vision.loading import Reader
from engine.vision.options import VisionOptions, own_ranker
from engine.vision.safety_checker import Judge

log = logging.getLogger(__name__)


class VisionModels:
    """The models of `VisionOptions`. Their memory is not part of the painting models' budget."""

    def __init__(self, sight: VisionOptions, sources: Mapping[str, Source], device: torch.device) -> None:
        self._sight, self._device = sight, device
        self._rankers = {key: str(folder) for key, source in sources.items() if (folder := own_ranker(source))}
        self._readers: dict[str, Reader] = {}
        self._vocabulary: Vocabulary | None = None
        self._judge: Judge | None = None

    def ready(self) -> None:
        """Have the judge at hand before something is painted. Raises: ModelUnloadable."""
        if self._judge is None and self._sight.checks:
            sight = self._sight
            self._judge = loaded(
                "safety", lambda: safety_checker.judge(sight.safety, sight.unsafe_labels, self._device)
            )

    def judge(self, image: Image.Image) -> Verdict:
        """The gate's verdict, else the safety model's. Raises: ModelUnloadable."""
        self.ready()
        verdict = picture_safety.ask(self._sight.gate, image)
        return self._judge(image) if self._judge is not None and not verdict.flagged else verdict

    def describe(self, image: Image.Image) -> list[str]:
        """Raises: InvalidRequest, ModelUnloadable."""
        if self._sight.captioner:
            eyes = self._reader("captioner", self._sight.captioner)
            return captioner.captions(eyes, image)
        if not self._rankers:
            raise InvalidRequest(*NO_CAPTIONER)
        if self._vocabulary is None:
            self._vocabulary = Vocabulary(self._reader("ranker", next(iter(self._rankers.values()))))
        return self._vocabulary.describe(image)

    def segment(self, image: Image.Image, what: str) -> Image.Image:
        """Raises: InvalidRequest, ModelUnloadable."""
        if not self._sight.segmenter:
            raise InvalidRequest(*NO_SEGMENTER)
        return segmenter.mask_of(self._reader("segmenter", self._sight.segmenter), image, what)

    def scores(self, model: str, prompt: str, images: list[Image.Image]) -> list[float]:
        """How well each picture of a model matches the prompt. Raises: InvalidRequest, ModelUnloadable."""
        location = self._sight.ranker or self._rankers.get(model)
        if not location:
            raise InvalidRequest(*NO_RANKER)
        return ranker.scores(self._reader("ranker", location), plain_text(without(prompt)), images)

    def _reader(self, kind: str, location: str) -> Reader:
        load = {"captioner": captioner.captioner, "segmenter": segmenter.segmenter, "ranker": ranker.ranker}[kind]
        if location not in self._readers:
            log.info("loading the %s", kind)
            self._readers[location] = loaded(kind, lambda: load(location, self._device))
        return self._readers[location]
